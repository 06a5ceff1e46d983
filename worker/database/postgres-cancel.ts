// Asks the server to end a running statement. The library's own cancel rejects a promise that nobody can
// catch when the request does not get through, which would end the process.
import type { PostgresAddress } from "./postgres-address.ts";
import { connectSocket } from "./postgres-socket.ts";

export type Backend = { readonly pid: number; readonly secret: number };

const CANCEL_REQUEST = 80_877_102;
const CANCEL_SECONDS = 3;

/** Best effort; never throws. Unencrypted like libpq's PQcancel: the packet holds only the backend's one-time key. */
export async function cancelStatement(address: PostgresAddress, backend: Backend): Promise<void> {
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(CANCEL_REQUEST, 4);
  packet.writeUInt32BE(backend.pid, 8);
  packet.writeUInt32BE(backend.secret, 12);
  const socket = await connectSocket(address, CANCEL_SECONDS * 1000);
  await new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.once("close", () => resolve());
    socket.setTimeout(CANCEL_SECONDS * 1000, () => socket.destroy());
    socket.resume();
    socket.end(packet);
  });
}
