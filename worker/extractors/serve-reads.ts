// The child's side of the conversation: reads the file it is told to, one item for each credit.
import { catalogue } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import type { FromChild, ToChild } from "./child-protocol.ts";
import type { GivenFile } from "./extractor.ts";
import { readFileSegments } from "./open-extractor.ts";

export function serveReads(): void {
  let credit = 0;
  let wake = (): void => undefined;
  const send = (message: FromChild): void => void process.send?.(message);

  const read = async (file: GivenFile): Promise<void> => {
    try {
      for await (const item of readFileSegments(file)) {
        while (credit === 0) {
          const waiting = Promise.withResolvers<void>();
          wake = waiting.resolve;
          await waiting.promise;
        }
        credit -= 1;
        // SAFETY: Extracted is what the protocol's item describes; the parent checks it once more.
        send({ type: "item", item: item as Extract<FromChild, { type: "item" }>["item"] });
      }
      send({ type: "done", rssBytes: process.memoryUsage.rss() });
    } catch (thrown) {
      const failure = thrown instanceof Failure ? thrown : new Failure("extract.corrupt", { cause: thrown });
      const facts = Object.entries(failure.facts).filter(([, value]) => value !== undefined);
      // SAFETY: undefined values were left out in the line above.
      send({
        type: "failed",
        code: failure.code,
        ...(failure.message !== catalogue[failure.code].user && { says: failure.message }),
        facts: Object.fromEntries(facts) as Record<string, string>,
      });
    }
  };

  process.on("message", (message) => {
    // SAFETY: the parent is the only other end of this channel.
    const told = message as ToChild;
    if (told.type === "credit") {
      credit += told.count;
      wake();
    } else {
      credit = told.credit;
      void read(told.file);
    }
  });
  send({ type: "ready" });
}
