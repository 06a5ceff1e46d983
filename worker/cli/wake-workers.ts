// Tells the workers of a broker that jobs may be ready again. Those that listen on Postgres are told by the database.
import type { Parts } from "../assemble.ts";
import { type HintSender, openHintSender } from "../wake-buses/hint-sender.ts";

/** Whoever sends hints from the command line: a hint that cannot be sent is a warning, for the jobs are found anyway. */
export function hintsOf(parts: Pick<Parts, "config" | "log">): Promise<HintSender> {
  return openHintSender(parts.config, ({ code, message }) =>
    parts.log.warn({ code, reason: message }, "workers not woken, they find the jobs at their next look"),
  );
}

/** Resolves when the hint is out, or after two seconds. Never throws. */
export async function wakeWorkers(parts: Pick<Parts, "config" | "log">): Promise<void> {
  const hints = await hintsOf(parts);
  hints.send({ jobId: null, documentId: null });
  await hints.close();
}
