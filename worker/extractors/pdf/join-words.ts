// Words that a line end has cut are made whole. Whether the hyphen belongs to the word is told by the document
// itself where it writes the word elsewhere, else by how compounds are built.

const VOCABULARY_WORDS = 50_000;
const MAX_WORD = 60;

export type WordJoiner = {
  /** Two lines as one text when a word is cut between them, else null. */
  join(text: string, next: string): string | null;
  /** Learns the words of a line; one that its end cuts is no word. */
  learn(line: string): void;
};

/**
 * Joins `exam-` + `ple`. The hyphen stays where the document writes the word with one elsewhere, where the word
 * has more hyphens, where both halves stand alone elsewhere and the joined word does not, and before a capital or
 * a number. `Ein-` + `und Ausgabe` stay two words.
 */
export function createWordJoiner(): WordJoiner {
  const words = new Set<string>();
  return {
    learn(line) {
      if (words.size >= VOCABULARY_WORDS) return;
      const whole = ENDS_CUT.test(line) ? line.replace(/\S+$/, "") : line;
      for (const word of whole.toLowerCase().match(ASCII.test(whole) ? ASCII_WORD : WORD) ?? [])
        words.add(word);
    },
    join(text, next) {
      if (!ENDS_CUT.test(text)) return null;
      // Only the text's last word matters: a paragraph grows with each line.
      const left = CUT.exec(text.slice(-MAX_WORD));
      const right = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:-\p{L}+)*/u.exec(next);
      if (left === null || right === null) return null;
      const [, head = "", hyphen = "-"] = left;
      const tail = right[0];
      if (hyphen !== "\u00ad" && SUSPENDED.test(tail)) return `${text} ${next}`;
      const soft = hyphen === "\u00ad";
      const kept = soft ? partsWords(head, tail) && !CAPITALS.test(tail) : keepsHyphen(head, tail, words);
      return text.slice(0, -1) + (kept ? "-" : "") + next;
    },
  };
}

const WORD = /[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*/gu;
/** Finds the same in most lines, in a third of the time. */
const ASCII_WORD = /[a-z0-9]+(?:-[a-z0-9]+)*/g;
const ASCII = /^[\x20-\x7e]*$/;
const ENDS_CUT = /[-\u2010\u00ad]$/;
const CUT = /([\p{L}\p{M}\p{N}]+(?:-[\p{L}\p{M}\p{N}]+)*)([-\u2010\u00ad])$/u;

/** "Ein- und Ausgabe", "pre- or post-war": the hyphen stands for a part that follows. */
const SUSPENDED = /^(?:und|oder|bzw|bis|and|or|to|et|ou|y|e|o|en|of|och|og|eller)$/iu;

const CAPITALS = /^\p{Lu}{2}/u;

/** No word is cut before a capital or at a number. */
const partsWords = (head: string, tail: string): boolean => !/^\p{Ll}/u.test(tail) || /\p{N}$/u.test(head);

function keepsHyphen(head: string, tail: string, words: ReadonlySet<string>): boolean {
  if (partsWords(head, tail)) return true;
  const [first, last] = [head.toLowerCase(), tail.toLowerCase()];
  if (words.has(`${first}-${last}`)) return true;
  if (words.has(first + last)) return false;
  if (head.includes("-") || tail.includes("-") || COMPOUND_HEADS.test(head) || COMPOUND_TAILS.test(tail))
    return true;
  return (
    first.length > 2 && last.length > 2 && !MERGING_HEADS.test(head) && words.has(first) && words.has(last)
  );
}

const COMPOUND_HEADS =
  /^(?:self|non|well|high|low|long|short|multi|cross|state|real|open|user|all|ex|half|third|two|three|four|five|one|e)$/i;
const COMPOUND_TAILS =
  /^(?:based|driven|oriented|level|friendly|specific|dependent|independent|aware|related|like|free|scale|effective|known)$/i;
/** English words that grow together with what follows: "with-in", "some-times", "over-view". */
const MERGING_HEADS =
  /^(?:with|some|any|every|over|under|out|through|there|here|where|when|what|how|for|can|him|her|them|our|your|fore|back|down|news|web|data|work|time|key|pass|net|soft|hard|frame|inter|super|trans|counter)$/i;
