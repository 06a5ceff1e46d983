// What the database knows of files, asked a thousand at a time, so that files that are as they were cost a share of
// one question and are never opened.
import { lstat, stat } from "node:fs/promises";
import { z } from "zod";
import type { SqlCall } from "../../document/sql-call.ts";
import { Failure } from "../../failure/failure.ts";
import type { Place } from "./file-note.ts";
import type { FoundFile } from "./find-files.ts";
import { type ChunkSettings, readAs } from "./read-as.ts";

export type Owner = {
  readonly tenant: string | null;
  readonly collection: string | null;
  readonly tags: readonly string[] | null;
};

/** A file that is not as it is noted; `known` null: never seen under this path. */
export type Differing = {
  readonly file: FoundFile;
  readonly known: { readonly documentId: string; readonly sha256: string; readonly settled: boolean } | null;
};

export type GoneFile = { readonly path: string; readonly documentId: string; readonly sha256: string };

const PAGE = 1000;
// A folder from which more disappeared was not tidied up: something is wrong with it.
const MOST_GONE = 200_000;

const differing = z.array(
  z.object({
    index: z.number(),
    document_id: z.string().nullable(),
    content_sha256: z.string().nullable(),
    settled: z.boolean(),
  }),
);
const listed = z.array(
  z.object({ path: z.string(), document_id: z.string(), content_sha256: z.string(), ingested: z.boolean() }),
);

/** Those of up to a thousand files that are not as they were when they were noted. */
export async function compareFiles(
  call: SqlCall,
  files: readonly FoundFile[],
  { place, pathOf }: Place,
  owner: Owner & {
    /** A document with a job under way differs, too: somebody wants to see it end. */
    readonly finished: boolean;
  },
  config: ChunkSettings,
): Promise<readonly Differing[]> {
  const answer = await call("rag_compare_files", {
    p_request: {
      place,
      ...ownerFields(owner),
      ...(owner.tags !== null && { tags: owner.tags }),
      finished: owner.finished,
      read_as: readAs(config),
      files: files.map(({ path, byteSize, modifiedUs }) => ({
        path: pathOf(path),
        byte_size: byteSize,
        modified_us: modifiedUs,
      })),
    },
  });
  return differing.parse(answer).flatMap(({ index, document_id, content_sha256, settled }) => {
    const file = files[index];
    if (file === undefined) return [];
    const known =
      document_id === null || content_sha256 === null
        ? null
        : { documentId: document_id, sha256: content_sha256, settled };
    return [{ file, known }];
  });
}

export type GoneFiles = { readonly gone: readonly GoneFile[]; readonly known: number };

/**
 * What is noted below a folder (`absolute`; `noted` is its path in notes, with a slash at the end, or empty) and has
 * no file any more. Throws `ingress.too-many-gone` when they are too many to be held.
 */
export async function findGone(
  call: SqlCall,
  folder: { readonly noted: string; readonly absoluteOf: (noted: string) => string },
  { place, withoutLinks }: Pick<Place, "place"> & { readonly withoutLinks: boolean },
  owner: Owner,
  signal: AbortSignal,
): Promise<GoneFiles> {
  const gone: GoneFile[] = [];
  let known = 0;
  let after: string | null = null;
  for (;;) {
    signal.throwIfAborted();
    const filter = { place, folder: folder.noted, ...ownerFields(owner) };
    const page: z.infer<typeof listed> = listed.parse(
      await call("rag_list_files", { p_filter: filter, p_after: after, p_limit: PAGE }),
    );
    known += page.length;
    for (const { path, document_id, content_sha256 } of page)
      if (await isGone(folder.absoluteOf(path), withoutLinks ? lstat : stat))
        gone.push({ path, documentId: document_id, sha256: content_sha256 });
    if (gone.length > MOST_GONE) throw new Failure("ingress.too-many-gone", { facts: { gone: gone.length } });
    if (page.length < PAGE) return { gone, known };
    after = page.at(-1)?.path ?? null;
  }
}

/** Only what is certainly not there: a disk that does not answer is no deletion. */
async function isGone(path: string, look: typeof stat): Promise<boolean> {
  try {
    return !(await look(path)).isFile();
  } catch (thrown) {
    return ["ENOENT", "ENOTDIR"].includes((thrown as NodeJS.ErrnoException).code ?? "");
  }
}

const ownerFields = ({ tenant, collection }: Owner) => ({
  tenant_id: tenant ?? "default",
  collection: collection ?? "default",
});
