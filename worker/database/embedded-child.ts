// The other process of embedded.test.ts: opens the folder it is given and writes numbered rows, telling the
// parent of each row only after the database has acknowledged it. Messages come and go over the IPC channel.
import { z } from "zod";
import { openEmbedded } from "./embedded.ts";

const Order = z.union([
  z.object({ write: z.object({ from: z.number(), count: z.number(), who: z.string() }) }),
  z.object({ close: z.literal(true) }),
]);

const [, , dir, templateFolder] = process.argv;
if (dir === undefined || templateFolder === undefined)
  throw new Error("embedded-child <dir> <template folder>");
const database = await openEmbedded({ dir, templateFolder });

process.on("message", (message) => void obey(Order.parse(message)));
process.send?.({ opened: true });

async function obey(order: z.infer<typeof Order>): Promise<void> {
  if ("close" in order) {
    await database.close();
    process.disconnect();
    return;
  }
  const { from, count, who } = order.write;
  for (let n = from; n < from + count; n += 1) {
    await database.call("rag_test_put", { p_n: n, p_who: who });
    process.send?.({ acknowledged: n });
  }
  process.send?.({ written: true });
}
