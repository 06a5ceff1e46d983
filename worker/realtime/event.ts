// What goes out to users: {user_id, type, payload}. Ids, codes and figures; never a title or a text.
import { z } from "zod";

export type RealtimeEvent = {
  readonly user_id: string;
  readonly type: string;
  readonly payload: Readonly<Record<string, unknown>>;
};

/** On Redis. */
export const REALTIME_CHANNEL = "rag_realtime";
// Far more than any event of ours; a larger one is somebody's mistake, and would be copied to every socket.
const MOST_EVENT_CHARS = 64 * 1024;

const outside = z.looseObject({
  user_id: z.union([z.string().min(1).max(500), z.number().transform(String)]),
  type: z.string().min(1).max(200),
});

/** Whose event this is, whatever its type; null for what is none. What the user gets is the text as it came. */
export function userOfEvent(text: string): string | null {
  if (text.length > MOST_EVENT_CHARS) return null;
  try {
    const read = outside.safeParse(JSON.parse(text));
    return read.success ? read.data.user_id : null;
  } catch {
    return null;
  }
}
