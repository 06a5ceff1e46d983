// The child's side of the conversation: reads the file it is told to, one item for each credit.
import { catalogue } from "../../failure/catalogue.ts";
import { Failure } from "../../failure/failure.ts";
import type { GivenFile } from "../extractor.ts";
import { readFileSegments } from "../open-extractor.ts";
import { MOST_ITEMS, type ToChild } from "./child-protocol.ts";
import type { FromChild } from "./decode-from-child.ts";

type Items = Extract<FromChild, { type: "items" }>["items"];

export function serveReads(): void {
  let credit = 0;
  let wake = (): void => undefined;
  const send = (message: FromChild): void => void process.send?.(message);

  const read = async (file: GivenFile): Promise<void> => {
    let ready: Items = [];
    const flush = (): void => {
      if (ready.length > 0) send({ type: "items", items: ready });
      ready = [];
    };
    try {
      for await (const item of readFileSegments(file)) {
        if (credit === 0) flush();
        while (credit === 0) {
          const waiting = Promise.withResolvers<void>();
          wake = waiting.resolve;
          await waiting.promise;
        }
        credit -= 1;
        // A reader that waits for something gives what it has.
        if (ready.length === 0) setImmediate(flush);
        // SAFETY: Extracted is what the protocol's item describes; the parent checks it once more.
        ready.push(item as Items[number]);
        if (ready.length === MOST_ITEMS) flush();
      }
      const items = ready;
      ready = [];
      send({ type: "done", items, rssBytes: process.memoryUsage.rss() });
    } catch (thrown) {
      // What was read before the fault came first.
      flush();
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
