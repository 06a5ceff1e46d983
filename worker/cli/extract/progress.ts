// How far the files are that are being read: lines on stderr that move, where that is a terminal.
import { basename } from "node:path";
import { bar, openBoard } from "../board.ts";
import { clip, type Stream } from "../terminal.ts";
import { counted } from "../words.ts";
import type { ReadProgress } from "./read-file.ts";

export type ExtractProgress = {
  /** Call `tell` for each sign of life of a file, and `ended` once. */
  begin(file: string): { tell(progress: ReadProgress): void; ended(): void };
  /** Takes the lines away before an answer is printed. */
  wipe(): void;
};

// A page is read in milliseconds; nobody reads so fast.
const REDRAW_MS = 100;

export function openExtractProgress(stream: Stream): ExtractProgress {
  if (stream.isTTY !== true) return { begin: () => ({ tell: () => {}, ended: () => {} }), wipe: () => {} };
  const board = openBoard(stream);
  const underway = new Map<string, ReadProgress>();
  let drawnAt = Number.NEGATIVE_INFINITY;
  const draw = () => {
    drawnAt = performance.now();
    board.show([...underway].map(([file, progress]) => lineOf(file, progress)));
  };
  return {
    begin(file) {
      return {
        tell(progress) {
          underway.set(file, progress);
          if (performance.now() - drawnAt > REDRAW_MS) draw();
        },
        ended() {
          underway.delete(file);
        },
      };
    },
    wipe: () => board.wipe(),
  };
}

function lineOf(file: string, { page, pages, chunks }: ReadProgress): string {
  const where = page === null || pages === null ? "" : `page ${page}/${pages}  `;
  return `${clip(basename(file), 28).padEnd(28)} ${bar(page ?? 0, pages)} ${where}${counted(chunks, "chunk")}`;
}
