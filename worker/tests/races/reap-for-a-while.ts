// Another replica's reaper: reaps without pause for some seconds, then tells its parent what it took.
import { openPostgres } from "../../database/postgres.ts";

const [url = "", seconds = "1"] = process.argv.slice(2);
const database = await openPostgres({ url, poolMax: 2, poolTimeoutSeconds: 10 });
const until = performance.now() + Number(seconds) * 1000;
let requeued = 0;
while (performance.now() < until) {
  const answer = (await database.call("rag_reap", { p_limit: 100 })) as { requeued: number };
  requeued += answer.requeued;
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await database.close();
process.send?.({ requeued });
process.disconnect?.();
