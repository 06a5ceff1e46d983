// Enqueuing by one prepared statement a job, over the same client for everybody who enqueues by SQL.
import pg from "pg";
import type { Enqueuer } from "./contestant.ts";

/** Runs the statement with the next of the arguments each time; throws when they are used up. */
export async function openSqlEnqueuer(
  url: string,
  statement: string,
  given: readonly string[],
): Promise<Enqueuer> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const left = [...given];
  return {
    async next() {
      const argument = left.shift();
      if (argument === undefined) throw new Error("No job is left to be enqueued.");
      await client.query({ name: "enqueue", text: statement, values: [argument] });
    },
    close: () => client.end(),
  };
}
