// Lines that move at the bottom of a terminal, and the bars in them.
import { cut, type Stream, widthOf } from "./terminal.ts";

export type Board = {
  show(lines: readonly string[]): void;
  /** Takes the lines away, so that something else can be printed. */
  wipe(): void;
};

const BAR_CELLS = 20;
const CLEAR_BELOW = "\u001b[0J";

/** Without a total nobody knows how far it is: the bar stays empty. */
export function bar(done: number, total: number | null): string {
  const share = total === null || total === 0 ? 0 : Math.min(1, done / total);
  const full = Math.floor(share * BAR_CELLS);
  return `[${"█".repeat(full)}${"░".repeat(BAR_CELLS - full)}]`;
}

/** Lines at the bottom of the terminal that are drawn over again. */
export function openBoard(stream: Stream): Board {
  let lines: readonly string[] = [];
  let drawn = 0;
  const wipe = () => {
    if (drawn > 0) stream.write(`\u001b[${drawn}A\r${CLEAR_BELOW}`);
    drawn = 0;
  };
  const draw = () => {
    // A line that wraps would make the count of lines wrong.
    for (const line of lines) stream.write(`${cut(line, widthOf(stream) - 1)}\n`);
    drawn = lines.length;
  };
  return {
    wipe,
    show(next: readonly string[]) {
      if (drawn === next.length && next.every((line, place) => line === lines[place])) return; // no flicker
      wipe();
      lines = next;
      draw();
    },
  };
}
