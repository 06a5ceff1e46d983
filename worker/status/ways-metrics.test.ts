import { afterEach, expect, test } from "vitest";
import { closeWorlds, openWorld } from "./testing/open-world.ts";

afterEach(closeWorlds);

test("messages, files of the root and sockets are counted by what became of them", async () => {
  const gateway = { upgrade: () => {}, figures: () => ({ sockets: 3, feed: "redis" }) };
  const { activity, ask } = await openWorld({ gateway });

  activity.say("message.accepted", { way: "nats", group: "vector_indexing", state: "new", jobId: "j" });
  activity.say("message.buried", {
    way: "nats",
    group: "data_sync",
    code: "ingress.malformed",
    letterId: "l",
  });
  activity.say("gateway.dropped", { why: "too slow", buffered: 1 });
  activity.say("root.scanned", {
    ...{ files: 9, enqueued: 2, moved: 1, deleted: 0, gone: 0, growing: 0, failed: 1, durationMs: 5 },
  });

  const { text } = await ask("/metrics");
  expect(text).toContain('rag_messages_total{way="nats",outcome="accepted",code=""} 1');
  expect(text).toContain('rag_messages_total{way="nats",outcome="buried",code="ingress.malformed"} 1');
  expect(text).toContain('rag_gateway_dropped_total{why="too slow"} 1');
  expect(text).toContain('rag_root_files_total{outcome="moved"} 1');
  expect(text).toContain("rag_gateway_sockets 3");
});
