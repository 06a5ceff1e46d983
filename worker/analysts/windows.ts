// Cuts a document into what one question is about (groups) and what the model reads of the document with it (windows).
// Both depend on the text alone, so that a later run of the same document asks the same questions.
import type { Segment } from "../document/segment.ts";

export type Group = {
  readonly segments: readonly Segment[];
  /** Larger than a window: the model cannot be asked about it. */
  readonly isTooLong: boolean;
};

export type Window = { readonly groups: readonly Group[] };

/**
 * A group: some 1,500 tokens of text, so that a summary loses little and an answer stays short. In bytes of UTF-8, which
 * bound tokens in every language.
 */
const GROUP_BYTES = 6_000;
/** A section that begins behind so much of a group begins a group of its own. */
const SECTION_BYTES = 3_000;
/**
 * A window: no tokenizer makes more than one token of a byte, so a prompt of it stays below 100,000 tokens, where Haiku's
 * price steps up fivefold. Of English it is some 20,000 tokens: a larger one would be read again, at a tenth of the price,
 * by more questions.
 */
export const WINDOW_BYTES = 80_000;

/** What the lines of the prompt add to a segment, in bytes: its number, its speaker's name is counted apart. */
const LINE_BYTES = 16;

/** Streams windows in order; holds one window's text at a time. */
export async function* windowsOf(segments: AsyncIterable<Segment>): AsyncIterable<Window> {
  let groups: Group[] = [];
  let bytes = 0;
  for await (const group of groupsOf(segments)) {
    // One that is too long is in no prompt.
    const size = group.isTooLong ? 0 : sizeOf(group.segments);
    if (groups.length > 0 && bytes + size > WINDOW_BYTES) {
      yield { groups };
      groups = [];
      bytes = 0;
    }
    groups.push(group);
    bytes += size;
  }
  if (groups.length > 0) yield { groups };
}

async function* groupsOf(segments: AsyncIterable<Segment>): AsyncIterable<Group> {
  let held: Segment[] = [];
  let bytes = 0;
  for await (const segment of segments) {
    const size = sizeOf([segment]);
    const isNewSection = held.length > 0 && held.at(-1)?.section !== segment.section;
    if (held.length > 0 && (bytes + size > GROUP_BYTES || (isNewSection && bytes >= SECTION_BYTES))) {
      yield groupOf(held, bytes);
      held = [];
      bytes = 0;
    }
    held.push(segment);
    bytes += size;
  }
  if (held.length > 0) yield groupOf(held, bytes);
}

const groupOf = (segments: readonly Segment[], bytes: number): Group => ({
  segments,
  isTooLong: bytes > WINDOW_BYTES,
});

const sizeOf = (segments: readonly Segment[]): number =>
  segments.reduce(
    (sum, { content, speaker }) =>
      sum + Buffer.byteLength(content) + Buffer.byteLength(speaker ?? "") + LINE_BYTES,
    0,
  );
