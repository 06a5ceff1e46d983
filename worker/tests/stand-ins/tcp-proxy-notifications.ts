// Drops or doubles the notifications (LISTEN) on their way from a Postgres server, as a bus may do; everything
// else passes as it is. Reads the protocol's frames, so it works on plain connections, not through TLS.
// Source: PostgreSQL documentation, "Message Formats".
import type { Rewrite } from "./tcp-proxy.ts";

export type NotificationFate = "pass" | "drop" | "double";

export type NotificationTamper = {
  /** For `startTcpProxy`. */
  readonly rewriteDown: () => Rewrite;
  set(fate: NotificationFate): void;
  /** How many notifications were dropped or doubled. */
  tampered(): number;
};

const NOTIFICATION = 0x41; // "A"
const HEADER_BYTES = 5; // type, and a length that counts itself but not the type

export function tamperWithNotifications(): NotificationTamper {
  let fate: NotificationFate = "pass";
  let tampered = 0;
  return {
    rewriteDown() {
      let rest = Buffer.alloc(0);
      return (bytes) => {
        const all = Buffer.concat([rest, bytes]);
        const told: Buffer[] = [];
        let at = 0;
        while (all.length - at >= HEADER_BYTES) {
          const end = at + 1 + all.readUInt32BE(at + 1);
          if (end > all.length) break;
          const frame = all.subarray(at, end);
          at = end;
          if (frame[0] === NOTIFICATION && fate !== "pass") {
            tampered += 1;
            if (fate === "double") told.push(frame, frame);
          } else {
            told.push(frame);
          }
        }
        rest = all.subarray(at);
        return Buffer.concat(told);
      };
    },
    set(to) {
      fate = to;
    },
    tampered: () => tampered,
  };
}
