// rag ingest of a folder with many small files, again when nothing changed, and when one changed, one moved and one
// went. The first run's jobs are marked as done instead of being embedded: what is measured is the way in.
import { mkdir, mkdtemp, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, Report } from "./figure.ts";
import { ranToEnd } from "./ran-to-end.ts";
import { openPostgresWorld } from "./worlds.ts";

const FILES = 20_000;
const A_FOLDER = 200;

export async function benchFolder(report: Report, options: BenchOptions): Promise<void> {
  const files = options.jobs ?? FILES;
  const root = await mkdtemp(join(tmpdir(), "rag-bench-folder-"));
  const world = await openPostgresWorld();
  try {
    await writeAll(root, files);
    const ingest = async (name: string) => {
      const startedAt = performance.now();
      const settings = { ...world.settings, RAG_DOCUMENT_ROOT: root };
      const { records, cpuSeconds } = await ranToEnd(
        ["ingest", root, "--delete-missing", "--json"],
        settings,
      );
      const [summary] = records;
      if (summary === undefined) throw new Error(`rag ingest said nothing in the run "${name}"`);
      const figure = { bench: "folder", case: `${files} files, ${name}`, contestant: "ours" };
      report({ ...figure, metric: "wall", value: (performance.now() - startedAt) / 1000, unit: "s" });
      report({ ...figure, metric: "CPU of ours", value: cpuSeconds, unit: "s" });
      for (const metric of ["documents", "unchanged", "moved", "deleted"])
        report({ ...figure, metric, value: Number(summary[metric]), unit: "files" });
      options.progress(`${name}: ${JSON.stringify(summary)}`);
      await world.withSession(async (session) => {
        await session.script(
          "update public.rag_documents set status = 'ingested'; delete from public.rag_ingestion_queue",
        );
      });
    };
    await ingest("first run");
    await ingest("unchanged");
    await writeOne(root, 1, "something else is said here");
    await rename(nameOf(root, 2), join(root, "moved.md"));
    await rm(nameOf(root, 3));
    await ingest("one changed, moved, gone");
  } finally {
    await world.close();
    await rm(root, { recursive: true, force: true });
  }
}

const nameOf = (root: string, file: number) =>
  join(root, `${Math.floor(file / A_FOLDER)}`, `note-${file}.md`);

async function writeAll(root: string, files: number): Promise<void> {
  for (let file = 0; file < files; file += 1) {
    if (file % A_FOLDER === 0) await mkdir(join(nameOf(root, file), ".."), { recursive: true });
    await writeOne(root, file, `# Note ${file}\n\nWhat note ${file} says, and no other.\n`);
  }
}

/** An hour old, as files are that nobody is writing. */
async function writeOne(root: string, file: number, text: string): Promise<void> {
  const path = nameOf(root, file);
  await writeFile(path, text);
  const at = Date.now() / 1000 - 3600 + (text.length % 60);
  await utimes(path, at, at);
}
