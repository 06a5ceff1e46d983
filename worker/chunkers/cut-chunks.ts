// What all strategies share: segments in, passages cut into chunks, both limits checked on the real text.
// A strategy only says where a chunk ends. Cuts depend on the text alone (and on that of the document's former chunks,
// where there are any), never on when a segment arrives.
import type { Chunk } from "../document/chunk.ts";
import type { Segment } from "../document/segment.ts";
import type { Tokenizer } from "../document/tokenizer.ts";
import { SENTENCE, WORD } from "./boundary.ts";
import { type ChunkLimits, type CutChunks, type Seams, UNITS_PER_TOKEN } from "./chunker.ts";
import { Passage, type PlacedSegment, type Room, WIDEST_GAP } from "./passage.ts";
import { TableHeaders } from "./table-headers.ts";
import { openTokenMeter, type TokenMeter } from "./token-meter.ts";
import { Words } from "./words.ts";

/** What a strategy may look at. */
export type Reach = {
  readonly passage: Passage;
  /** Highest word the chunk may end with. */
  readonly ceiling: number;
  /** The last word ends its passage; otherwise LOOK_AHEAD shares and more are there to choose from. */
  readonly complete: boolean;
  /** Which chunk of the document's former text began as what follows this piece; null where there are none. */
  readonly seamAt: ((index: number) => Seam) | null;
};

/** 1 for the next one, up to NEXT_SEAMS; Infinity for one from elsewhere, for text repeats itself; null for none. */
export type Seam = number | null;

/** Answers the last word of the next chunk, at most a full share; below `passage.fresh` when no new word fits. */
export type ChooseEnd = (reach: Reach) => number;

/** How much of the text, in shares of a chunk, is known before a chunk is cut. */
export const LOOK_AHEAD = 1.25;

/** A prefix that would take more of the budget than this is left out. */
const LARGEST_PREFIX = 0.25;
/** Overlap never takes more of a chunk than this, whatever the setting says. */
const LARGEST_OVERLAP = 0.5;

export function cutChunks(chooseEnd: ChooseEnd, limits: ChunkLimits, tokenizer: Tokenizer): CutChunks {
  return async function* (segments, _embed, seams = new Map()) {
    const cutter = new Cutter(chooseEnd, limits, tokenizer, seams);
    for await (const segment of segments) yield* cutter.take(segment);
    yield* cutter.endPassage();
  };
}

class Cutter {
  readonly #chooseEnd: ChooseEnd;
  readonly #limits: ChunkLimits;
  readonly #tokenizer: Tokenizer;
  /** Most UTF-16 units of a chunk. */
  readonly #chars: number;
  readonly #tables: TableHeaders;
  readonly #meter: TokenMeter;
  readonly #seams: Seams;
  #passage: Passage | null = null;
  /** The passage's heading path for embedding, and all that is put before the next chunk. */
  #heading = "";
  #prefix = "";
  /** UTF-16 units of all segments so far. */
  #length = 0;
  /** White space since the last word, cut off a little above WIDEST_GAP. */
  #gap = "";
  /** The last segment with text ended in white space. */
  #glued = false;
  #chunkIndex = 0;
  /** The former chunk that was met last, and one that may have been: its beginning stands here, out of its order. */
  #former = -1;
  #maybe = -1;

  constructor(chooseEnd: ChooseEnd, limits: ChunkLimits, tokenizer: Tokenizer, seams: Seams) {
    this.#seams = seams;
    this.#chooseEnd = chooseEnd;
    this.#limits = limits;
    this.#tokenizer = tokenizer;
    this.#chars = limits.chars > 0 ? limits.chars : limits.tokens * UNITS_PER_TOKEN;
    this.#meter = openTokenMeter(tokenizer);
    this.#tables = new TableHeaders(this.#chars * LARGEST_PREFIX);
  }

  /** The chunks that are certain once this segment is known. */
  *take(segment: Segment): Generator<Chunk> {
    const placed = { segment, start: this.#length };
    const text = segment.content;
    this.#length += text.length;
    if (this.#passage === null) this.#meter.forget(placed.start);
    else if (this.#meter.unsettled > LONGEST_SEAM) this.#glued = false;
    this.#meter.append(text, this.#glued && this.#passage !== null);
    let tail = 0;
    const word = new Words(text, this.#chars);
    while (word.next()) {
      const gap = this.#gapBefore(text, tail, word.start);
      if (gap.length > WIDEST_GAP || (tail === 0 && !this.#continuesWith(segment))) yield* this.endPassage();
      const passage = this.#passage ?? this.#openPassage(placed);
      this.#tables.add(text, word, placed.start, gap);
      passage.add(placed, word, gap);
      while (this.#mayCut(passage)) yield this.#cut(passage, false);
      tail = word.end;
      this.#gap = "";
    }
    if (tail > 0) this.#glued = tail < text.length;
    this.#gap = (this.#gap + text.slice(tail, tail + WIDEST_GAP + 1)).slice(0, WIDEST_GAP + 1);
    if (this.#gap.length > WIDEST_GAP) yield* this.endPassage();
  }

  /** All white space since the last word; nearly always a blank, which needs no string of its own. */
  #gapBefore(text: string, from: number, to: number): string {
    if (from === to) return this.#gap;
    const isBlank = from + 1 === to && this.#gap === "" && text.charCodeAt(from) === BLANK;
    return isBlank ? " " : this.#gap + text.slice(from, to);
  }

  /** The chunks of what is left of the passage. */
  *endPassage(): Generator<Chunk> {
    const passage = this.#passage;
    while (passage !== null && passage.fresh < passage.words.length) {
      this.#choosePrefix(passage);
      yield this.#cut(passage, true);
    }
    this.#passage = null;
  }

  #continuesWith(segment: Segment): boolean {
    const passage = this.#passage;
    if (passage === null || !this.#glued || segment.speaker !== passage.speaker) return false;
    if (segment.section === passage.section) return true;
    // A prefix was counted for the section above: only without one may the section change.
    if (this.#heading !== "" || !passage.leadsInto(segment.section)) return false;
    passage.section = segment.section;
    return true;
  }

  #openPassage(placed: PlacedSegment): Passage {
    const { segment, start } = placed;
    this.#meter.forget(start);
    this.#tables.forget(start);
    const wanted = this.#limits.headingPrefix === true && segment.section !== null;
    this.#heading = wanted ? this.#ifItFits(`${segment.section}\n`) : "";
    this.#prefix = this.#heading;
    this.#passage = new Passage(segment, this.#room(), this.#meter);
    return this.#passage;
  }

  /** Enough is known to choose from, also when the next chunk has no prefix and takes more. */
  #mayCut(passage: Passage): boolean {
    if (!passage.isFuller(LOOK_AHEAD)) return false;
    this.#choosePrefix(passage);
    return passage.isFuller(LOOK_AHEAD);
  }

  /** Finds what is put before the chunk that begins with the passage's first word. */
  #choosePrefix(passage: Passage): void {
    const next = passage.words[0];
    if (next === undefined) return;
    const header = this.#tables.above(next.start);
    this.#tables.forget(next.start);
    const prefix = header === null ? this.#heading : this.#heading + this.#ifItFits(`${header}\n`);
    if (prefix === this.#prefix) return;
    this.#prefix = prefix;
    passage.giveRoom(this.#room());
  }

  #ifItFits(prefix: string): string {
    const fits =
      prefix.length <= this.#chars * LARGEST_PREFIX &&
      this.#tokenizer.count(prefix) <= this.#limits.tokens * LARGEST_PREFIX;
    return fits ? prefix : "";
  }

  #room(): Room {
    return {
      tokens: this.#limits.tokens - this.#tokenizer.count(this.#prefix),
      chars: this.#chars - this.#prefix.length,
    };
  }

  #cut(passage: Passage, complete: boolean): Chunk {
    let ceiling = passage.words.length - 1;
    const seamAt = this.#seams.size === 0 ? null : (index: number) => this.#seamAt(passage, index + 1);
    this.#meetFormer(passage);
    for (;;) {
      const last = this.#chooseEnd({ passage, ceiling, complete, seamAt });
      const { fresh } = passage;
      if (last >= fresh) {
        const tokens = this.#tokensOf(passage, last);
        if (tokens <= this.#limits.tokens) return this.#close(passage, last, this.#prefix, tokens);
        // The joined text may count more than its words. Go back by as much as it is over, at least one word.
        const kept = Math.floor(((last - fresh) * this.#limits.tokens) / tokens);
        ceiling = last === fresh ? last - 1 : fresh + Math.min(kept, last - fresh - 1);
      } else if (fresh > 0) {
        passage.advance(fresh, fresh);
        this.#choosePrefix(passage);
        ceiling = passage.words.length - 1;
      } else if (this.#fits(passage)) {
        return this.#close(passage, 0, this.#prefix, this.#tokensOf(passage, 0));
      } else if (passage.splitFirst()) {
        ceiling = passage.words.length - 1;
      } else return this.#close(passage, 0, "", passage.count(0, 0));
    }
  }

  /** The chunk that is to be cut now may begin as a former one did. */
  #meetFormer(passage: Passage): void {
    const [first, ...others] = this.#seams.get(passage.beginning(passage.fresh)) ?? [];
    if (first === undefined) return;
    const next = [first, ...others].find((number) => this.#stepsTo(number) <= NEXT_SEAMS);
    this.#maybe = next ?? first;
    this.#former = next ?? this.#former;
  }

  #stepsTo(number: number): number {
    const steps = [this.#former, this.#maybe].map((met) => number - met);
    return Math.min(...steps.filter((step) => step > 0 && step <= NEXT_SEAMS));
  }

  #seamAt(passage: Passage, word: number): Seam {
    const begin = this.#seams.get(passage.beginning(word));
    return begin === undefined ? null : Math.min(...begin.map((number) => this.#stepsTo(number)));
  }

  /** Of the first word by itself: its share of a pretoken that goes on behind it may be more than it counts alone. */
  #fits(passage: Passage): boolean {
    const chars = this.#prefix.length + passage.text(0, 0).length;
    return chars <= this.#chars && this.#tokensOf(passage, 0) <= this.#limits.tokens;
  }

  #tokensOf(passage: Passage, last: number): number {
    return this.#prefix === ""
      ? passage.count(0, last)
      : this.#tokenizer.count(this.#prefix + passage.text(0, last));
  }

  #close(passage: Passage, last: number, embedPrefix: string, tokenCount: number): Chunk {
    const content = copyOf(passage.text(0, last));
    const { first, final, charStart, startedMs, endedMs } = passage.origin(last);
    const next = this.#limits.overlapTokens > 0 ? this.#overlapStart(passage, last) : last + 1;
    const { section, speaker } = passage;
    passage.advance(next, last + 1);
    return {
      chunkIndex: this.#chunkIndex++,
      content,
      embedPrefix,
      charStart,
      charEnd: charStart + content.length,
      tokenCount,
      pageNumber: first.pageNumber,
      section,
      speaker,
      startedMs,
      endedMs,
      segmentFrom: first.seq,
      segmentTo: final.seq,
    };
  }

  /** The word at which the next chunk begins, so that it repeats at most overlapTokens; last + 1 for none. */
  #overlapStart(passage: Passage, last: number): number {
    const most = this.#limits.overlapTokens;
    const reach = (first: number) =>
      passage.sum(first, last) <= most && passage.shareOf(first, last) <= LARGEST_OVERLAP;
    let word = last + 1;
    let sentence = last + 1;
    for (let first = last; first > 0 && reach(first); first--) {
      const boundary = passage.words[first - 1]?.boundary ?? WORD;
      if (boundary >= WORD) word = first;
      if (boundary >= SENTENCE) sentence = first;
    }
    // A whole sentence is worth more than some more words, unless most of the overlap would be lost for it.
    let start =
      sentence <= last && passage.sum(sentence, last) * 2 >= passage.sum(word, last) ? sentence : word;
    while (start <= last && !this.#mayOverlap(passage, start, last)) start++;
    return start;
  }

  #mayOverlap(passage: Passage, first: number, last: number): boolean {
    const boundary = passage.words[first - 1]?.boundary ?? WORD;
    return boundary >= WORD && passage.count(first, last) <= this.#limits.overlapTokens;
  }
}

const BLANK = 32;

/** An edit does away with the beginnings of a few chunks at most, or with many: then any will do to go on from. */
const NEXT_SEAMS = 4;

/**
 * A pretoken that reached over the ends of many segments, as words with form feeds between them do for BERT, would be
 * counted anew with each of them: a longer one ends its passage. UTF-16 units.
 */
const LONGEST_SEAM = 512;

/** A slice keeps alive all the text that it was cut from. */
const copyOf = (slice: string): string => ` ${slice}`.slice(1);
