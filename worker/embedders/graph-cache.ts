// Keeps a graph that is slow to build as a file. The file ends with the SHA-256 of the rest: one that was cut
// short or changed is built again. Written beside and renamed, so that two processes may start at once.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { threadId } from "node:worker_threads";

const DIGEST_BYTES = 32;

/** The cached bytes under this name, else those that `build` makes. A folder that cannot be written costs time only. */
export function cachedGraph(folder: string, name: string, build: () => Uint8Array): Uint8Array {
  const path = join(folder, name);
  const known = readIntact(path);
  if (known !== null) return known;
  const graph = build();
  writeAside(folder, path, graph);
  return graph;
}

function readIntact(path: string): Uint8Array | null {
  try {
    const file = readFileSync(path);
    const graph = file.subarray(0, -DIGEST_BYTES);
    return digest(graph).equals(file.subarray(-DIGEST_BYTES)) ? graph : null;
  } catch {
    return null; // Not there yet, or not readable: building it answers both.
  }
}

function writeAside(folder: string, path: string, graph: Uint8Array): void {
  const aside = `${path}.${process.pid}-${threadId}`;
  try {
    mkdirSync(folder, { recursive: true });
  } catch {
    return;
  }
  try {
    writeFileSync(aside, Buffer.concat([graph, digest(graph)]));
    renameSync(aside, path);
  } catch {
    rmSync(aside, { force: true }); // A full disk: half a file helps nobody.
  }
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();
