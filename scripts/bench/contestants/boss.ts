// pg-boss as a contestant. It keeps what it finished, as we do.
import { PgBoss } from "pg-boss";
import type { Contestant } from "./contestant.ts";
import { withSession } from "./fresh-database.ts";

export const QUEUE = "document";
// Its own measurements insert in batches of this order; larger ones are one very long statement.
const ROWS_A_STATEMENT = 5000;

/** Without scheduling and supervision, which other replicas may do: nothing but the queue's own work. */
export const openBoss = (url: string, more: { readonly useListenNotify?: boolean } = {}) => {
  const boss = new PgBoss({ connectionString: url, schedule: false, supervise: false, ...more });
  boss.on("error", () => {}); // Told by the call that meets it.
  return boss;
};

export const boss: Contestant = {
  name: "pg-boss",
  program: new URL("./boss-process.ts", import.meta.url),
  async install(url) {
    const installer = openBoss(url);
    await installer.start();
    await installer.createQueue(QUEUE, { notify: true });
    await installer.stop({ graceful: false });
  },
  async fill(url, fill) {
    const tenants = fill.tenants ?? ["default"];
    const filler = openBoss(url);
    await filler.start();
    for (let at = 0; at < fill.jobs; at += ROWS_A_STATEMENT) {
      const rows = Array.from({ length: Math.min(ROWS_A_STATEMENT, fill.jobs - at) }, (_, n) => ({
        data: { document_id: crypto.randomUUID(), tenant: tenants[n % tenants.length] },
        startAfter: fill.delaySeconds ?? 0,
      }));
      await filler.insert(QUEUE, rows);
    }
    await filler.stop({ graceful: false });
    if (fill.finished) {
      await withSession(url, (session) =>
        session.query(
          "update pgboss.job set state = 'completed', started_on = now(), completed_on = now() where state = 'created'",
        ),
      );
    }
    return fill.jobs;
  },
  async openEnqueuer(url, upcoming) {
    const tenants = [...upcoming.tenants];
    const sender = openBoss(url);
    await sender.start();
    await sender.getQueue(QUEUE);
    return {
      async next() {
        await sender.send(QUEUE, { tenant: tenants.shift() ?? "default" });
      },
      close: () => sender.stop({ graceful: false }),
    };
  },
};
