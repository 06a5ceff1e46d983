// Text that has the words of the retrieval set in their frequencies, and none of its answers: a chain of word pairs.
// So the words of the questions are as common among two hundred thousand chunks as among two thousand.

/** The same texts for the same number on every machine. */
export function* fillerTexts(sample: string, count: number, chars: number): Generator<string> {
  const random = randomOf(20261122);
  const words = sample.split(/\s+/).filter((word) => word !== "");
  const followers = new Map<string, number[]>();
  words.forEach((word, at) => {
    const after = followers.get(word);
    if (after === undefined) followers.set(word, [at + 1]);
    else after.push(at + 1);
  });
  let word = words[0] ?? "";
  for (let made = 0; made < count; made += 1) {
    const most = chars * (0.5 + random());
    let text = word;
    while (text.length < most) {
      const after = followers.get(word) ?? [];
      // A new start now and then: otherwise whole sentences of the sample come out.
      const next =
        random() < 0.15 ? Math.floor(random() * words.length) : after[Math.floor(random() * after.length)];
      word = words[next ?? 0] ?? words[0] ?? "";
      text += ` ${word}`;
    }
    yield text;
  }
}

/** Mulberry32, by Tommy Ettinger (public domain): small, fast, good enough for choosing words. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
