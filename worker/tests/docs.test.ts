// What the documents say of the code, held against the code: a reader who finds a code, a function or a command in
// one of them finds it in the other.
import { readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openEmbedded } from "../database/embedded.ts";
import { catalogue, type FailureKind } from "../failure/catalogue.ts";
import { commandNames, documents } from "./documents.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

const ends: Readonly<Record<FailureKind, string>> = {
  transient: "tried again",
  waiting: "waits, no attempt spent",
  permanent: "fails",
  stopping: "handed back",
  "lease-lost": "nothing",
  misconfigured: "no job is taken",
  defect: "tried again",
};

/** What is wrong with one group of segments is recorded there: its document goes live without its analysis. */
const endOf = (code: string, kind: FailureKind): string =>
  kind === "permanent" && code.startsWith("analyse.") ? "goes on, without it" : ends[kind];

function between(text: string, name: string): string[] {
  const parts = text.split(new RegExp(`<!-- ${name}:(?:begin|end) -->\n`));
  expect(parts).toHaveLength(3);
  return (parts[1] ?? "").split("\n").filter(Boolean);
}

// Fails with the missing row in the difference: paste it.
test("every failure code stands in the README, with what becomes of the job and what to do", () => {
  const rows = Object.entries(catalogue).map(
    ([code, { kind, operator }]) => `| \`${code}\` | ${endOf(code, kind)} | ${operator} |`,
  );

  expect(between(read("README.md"), "codes").slice(2)).toEqual(rows);
});

test("every SQL function stands in supabase/README.md, and nothing that is none", () => {
  const folder = "supabase/migrations";
  const defined = readdirSync(join(root, folder))
    .filter((file) => file.endsWith(".sql"))
    .flatMap((file) => [
      ...read(join(folder, file)).matchAll(/create or replace function public\.(rag_[a-z_]+)/g),
    ])
    .map((match) => match[1]);

  // The first cell of a row: `rag_name(arguments)`, or several names of helpers.
  const told = read("supabase/README.md")
    .split("\n")
    .filter((line) => line.startsWith("| `rag_"))
    .flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`(rag_[a-z_]+)/g)])
    .map((match) => match[1]);

  expect(defined.length).toBeGreaterThan(30);
  expect(told.toSorted()).toEqual([...new Set(defined)].toSorted());
});

test("every command of the README exists, and the other way round", () => {
  const told = [...read("README.md").matchAll(/^\| `rag ([a-z-]+)[^|]*\|/gm)].map((match) => match[1]);

  expect(commandNames.length).toBeGreaterThan(5);
  expect(told.toSorted()).toEqual(commandNames.toSorted());
});

test("every room has its line in worker/README.md, and every line its room", () => {
  const rooms = readdirSync(join(root, "worker"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${entry.name}/`);
  const told = [...read("worker/README.md").matchAll(/^\| `([a-z-]+\/)` \|/gm)].map((match) => match[1]);

  expect(told.toSorted()).toEqual(rooms.toSorted());
});

test.each(documents)("every file that %s links or names is there", (document) => {
  const text = read(document);
  const folder = join(root, document, "..");
  const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) =>
    join(folder, match[1] ?? ""),
  );
  const named = [...text.matchAll(/`((?:scripts|worker|supabase)\/[\w./-]+\.\w+)`/g)].map((match) =>
    join(root, match[1] ?? ""),
  );

  for (const path of [...linked, ...named]) expect(() => readFileSync(path), path).not.toThrow();
});

test("every npm script that the documents name exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const text = documents.map(read).join("\n");
  const named = [...text.matchAll(/npm run ([a-z][a-z:-]*[a-z])/g)].map((match) => match[1] ?? "");

  expect(named.length).toBeGreaterThan(5);
  for (const name of named) expect(scripts, name).toHaveProperty([name]);
});

test("the SQL that README, runbook and capacity plan show runs as it stands, statement after statement", async () => {
  const folder = await mkdtemp(join(tmpdir(), "rag-docs-"));
  const database = await openEmbedded({ dir: folder });
  const blocks = ["README.md", "supabase/CAPACITY.md"].flatMap((document) =>
    [...read(document).matchAll(/```sql\n([\s\S]*?)```/g)].map((match) => match[1] ?? ""),
  );
  // Without those whose arguments are only named.
  const inText = ["README.md", "supabase/RUNBOOK.md"].flatMap((document) =>
    [
      ...read(document).matchAll(
        /`((?:select|update|alter extension) (?![^`]*\(model, dimensions\))[^`]+)`/g,
      ),
    ].map(([, statement = ""]) => statement),
  );
  const statements = blocks
    .flatMap((block) => block.split(/;\n/))
    .filter((statement) => /\w/.test(statement));
  const vector = `[${Array.from({ length: 1_536 }, () => "0.1").join(",")}]`;
  let id = "";
  try {
    for (const statement of statements) {
      const filled = statement.replaceAll("…that id…", id).replace("[0.012, …]", vector);
      const [row] = await database.session.query(filled);
      if (typeof row?.id === "string") id = row.id;
    }
    const jobs = await database.call("rag_list_jobs", {});
    await database.session.query(
      `create table "TblDocumentFiles" ("DocumentID" int, "DocumentFilePath" text)`,
    );
    for (const statement of inText)
      await database.session.query(statement.replace(/;$/, "").replace('["…"]', `["${id}"]`));

    expect(statements.length).toBeGreaterThan(10);
    expect(inText.length).toBeGreaterThan(7);
    expect(jobs).toHaveLength(5);
  } finally {
    await database.close();
    await rm(folder, { recursive: true });
  }
});
