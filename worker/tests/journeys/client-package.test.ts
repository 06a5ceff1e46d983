// The package as an application gets it: packed, installed into an empty app, type-checked there, and run against an
// API like Supabase's.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Leg, openLeg } from "../contracts/open-databases.ts";
import { World } from "../contracts/world.ts";
import { describeWith } from "../services.ts";
import { type PostgrestStandIn, startPostgrest } from "../stand-ins/postgrest.ts";

const run = promisify(execFile);
const INSTALL_MS = 180_000;

const app = `
import { createClient } from "@supabase/supabase-js";
import { createRagClient, type Hit, markHtml, type RagDatabase } from "rag-ingestion-worker/client";

const [url = "", key = "", tenant_id = ""] = process.argv.slice(2);
const supabase = createClient<RagDatabase>(url, key);
// Compiled, and not sent.
export const insertNote = () => supabase.from("rag_documents").insert({ title: "Note", tenant_id }).select("id");
const rag = createRagClient(supabase, {
  embed: async (texts) => ({ model: "contract-model", embeddings: texts.map(() => [1, 0, 0]) }),
});
const { job_id } = await rag.submit({ content: "one two three", title: "Note", tenant_id });
for await (const { status } of rag.follow(job_id)) { console.log(status); break; }
const hits: readonly Hit[] = await rag.search("lighthouse", { filter: { tenant_id }, neighbours: 1, highlights: true });
console.log(hits.map((hit) => markHtml(hit.content, hit.places)).join("\\n"));
console.log(hits[0]?.after?.[0]?.content);
`;

describeWith(["postgres", "pgbouncer"], "the client in the package", () => {
  let folder: string;
  let leg: Leg;
  let api: PostgrestStandIn;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "rag-app-"));
    leg = await openLeg("postgres");
    api = await startPostgrest(leg.url);
    await install(folder);
  }, INSTALL_MS);
  afterAll(async () => {
    await api?.close();
    await leg?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test(
    "type-checks in an app, and searches, submits and follows",
    async () => {
      const world = await new World(leg).start();
      await world.ingest(["the <b>lighthouse</b> keeper", "what comes after"]);

      await run(process.execPath, [resolve("node_modules/typescript/bin/tsc"), "-p", folder]);
      const { stdout } = await run(
        process.execPath,
        [join(folder, "app.js"), api.url, api.key, world.tenant],
        { cwd: folder },
      );

      expect(stdout.split("\n").slice(0, 2)).toEqual([
        "queued",
        "the &lt;b&gt;<mark>lighthouse</mark>&lt;/b&gt; keeper",
      ]);
      expect(stdout).toContain("what comes after");
    },
    INSTALL_MS,
  );

  test("rag says where it runs when it is asked for in an app", async () => {
    await expect(
      run(process.execPath, ["node_modules/rag-ingestion-worker/bin/rag.mjs", "--help"], { cwd: folder }),
    ).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^rag runs from a clone of its repository/),
    });
  });

  test.each([
    ["a filter", "filter: { tenant_id }", "filter: { tenant: tenant_id }", "tenant"],
    ["a table", 'from("rag_documents")', 'from("rag_document")', "rag_document"],
    ["a column", "insert({ title:", "insert({ titel:", "not assignable"],
  ])(
    "an app that misspells %s does not compile",
    async (_what, right, misspelt, said) => {
      expect(app).toContain(right);
      await writeFile(join(folder, "app.ts"), app.replace(right, misspelt));

      await expect(
        run(process.execPath, [resolve("node_modules/typescript/bin/tsc"), "-p", folder]),
      ).rejects.toMatchObject({ stdout: expect.stringContaining(said) });
    },
    INSTALL_MS,
  );
});

async function install(folder: string): Promise<void> {
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", folder]);
  const packed = JSON.parse(stdout.slice(stdout.indexOf("["))) as { filename: string }[];
  await writeFile(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const archive = join(folder, packed[0]?.filename ?? "");
  // What `npm ci` has fetched already is not fetched again.
  const quietly = [
    "--prefer-offline",
    "--no-audit",
    "--no-fund",
    "--fetch-retries=0",
    "--fetch-timeout=30000",
  ];
  await run("npm", ["install", ...quietly, archive], { cwd: folder }).catch(async (thrown: unknown) => {
    if (!/npm error code E(NOTFOUND|CONNREFUSED|CONNRESET|TIMEDOUT|NOTCACHED|AI_AGAIN)/.test(String(thrown)))
      throw thrown;
    process.stderr.write(
      "npm's registry cannot be reached: the package is unpacked beside our own modules.\n",
    );
    await unpack(archive, folder);
  });
  await symlink(resolve("node_modules/@types"), join(folder, "node_modules/@types"));
  await writeFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({
      compilerOptions: {
        module: "nodenext",
        target: "es2024",
        strict: true,
        types: ["node"],
        skipLibCheck: true,
        noEmitOnError: true,
      },
      files: ["app.ts"],
    }),
  );
  await writeFile(join(folder, "app.ts"), app);
}

async function unpack(archive: string, folder: string): Promise<void> {
  const home = join(folder, "node_modules", "rag-ingestion-worker");
  await mkdir(home, { recursive: true });
  await run("tar", ["-xzf", archive, "--strip-components=1", "-C", home]);
  await symlink(resolve("node_modules/@supabase"), join(folder, "node_modules/@supabase"));
}
