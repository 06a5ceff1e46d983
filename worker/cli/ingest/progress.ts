// Progress of an ingest on stderr: bars that move where there is a terminal, one line a document elsewhere.
import { basename } from "node:path";
import { bar, openBoard } from "../board.ts";
import type { JobRow } from "../job-row.ts";
import { clip, cut, type Stream, widthOf } from "../terminal.ts";
import { counted } from "../words.ts";
import type { IngestWatcher } from "./ingest-files.ts";

const MOST_BARS = 8;

/** `end` wipes the bars, so that what is printed next stands alone. */
export function openProgress(stream: Stream): IngestWatcher & { end(): void } {
  const board = stream.isTTY === true ? openBoard(stream) : null;
  const line = (text: string) => {
    board?.wipe();
    stream.write(`${cut(text, stream.isTTY === true ? widthOf(stream) : 500)}\n`);
    redraw();
  };
  let found = 0;
  let isAll = false;
  let ended = 0;
  let active: readonly { readonly row: JobRow; readonly path: string }[] = [];
  const redraw = () => board?.show(boardLines({ found, isAll, ended, active }));
  return {
    found(files, all) {
      found = files;
      isAll = all;
      redraw();
    },
    progressed(jobs) {
      active = jobs.filter(({ row }) => row.status === "processing" || row.error_code !== null);
      redraw();
    },
    ended(path, row) {
      ended += 1;
      line(
        `done    ${basename(path)}  ${counted(row.processed_chunks, "chunk")}, ${row.reused_chunks} reused${row.rejected_chunks > 0 ? `, ${row.rejected_chunks} left out` : ""}`,
      );
    },
    failed(file) {
      ended += 1;
      line(`failed  ${file.source}  ${file.code}: ${file.message}`);
    },
    notice: line,
    end: () => board?.wipe(),
  };
}

type Picture = {
  readonly found: number;
  readonly isAll: boolean;
  readonly ended: number;
  readonly active: readonly { readonly row: JobRow; readonly path: string }[];
};

function boardLines({ found, isAll, ended, active }: Picture): string[] {
  const total = isAll ? counted(found, "document") : `${found}… documents`;
  const jobs = active.slice(0, MOST_BARS).map(({ row, path }) => {
    const name = clip(basename(path), 28).padEnd(28);
    return `  ${name} ${barOf(row)} ${stateOf(row)}`;
  });
  const more = active.length > MOST_BARS ? [`  and ${active.length - MOST_BARS} more`] : [];
  return [`${bar(ended, found)} ${ended}/${total}`, ...jobs, ...more];
}

function stateOf(row: JobRow): string {
  if (row.status === "queued") return `waits: ${row.error_code}`;
  if (row.total_chunks === null)
    return row.processed_chunks === 0 ? (row.stage ?? "starting") : counted(row.processed_chunks, "chunk");
  return `${row.processed_chunks}/${counted(row.total_chunks, "chunk")}`;
}

/** How many chunks there are is known at the end only; until then the segments read so far are the measure. */
function barOf(row: JobRow): string {
  if (row.total_chunks !== null) return bar(row.processed_chunks, row.total_chunks);
  return bar(row.processed_segments, row.total_segments);
}
