// Listens on one connection and claims on another, one job a notification.
import pg from "pg";
import { monotonicMs } from "./clock.ts";
import { DrainClock, takePart } from "./part.ts";

await takePart(async (part) => {
  const clock = new DrainClock();
  const listener = new pg.Client({ connectionString: part.settings.url });
  const claimer = new pg.Client({ connectionString: part.settings.url });
  await Promise.all([listener.connect(), claimer.connect()]);
  const takeOne = async () => {
    const sentAt = monotonicMs();
    const { rows } = await claimer.query<{ id: string; tenant: string }>({
      name: "claim",
      text: `update bare_jobs set claimed = true where id = (
               select id from bare_jobs where not claimed order by id limit 1 for update skip locked)
             returning id, tenant`,
    });
    const [job] = rows;
    if (job === undefined) return;
    clock.claimed(sentAt, 1);
    part.started(job.tenant, monotonicMs());
    clock.ran(1);
    await claimer.query({ name: "done", text: "delete from bare_jobs where id = $1", values: [job.id] });
    clock.settled(monotonicMs());
  };
  let turn: Promise<void> = Promise.resolve();
  listener.on("notification", () => {
    turn = turn.then(takeOne);
  });
  await listener.query("listen bare");
  await part.ready();
  await part.stopped;
  await turn;
  await Promise.all([listener.end(), claimer.end()]);
  return clock.drained();
});
