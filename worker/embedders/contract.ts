// What every embedder promises, run over each kind. A new kind is one more call of this suite.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Failure } from "../failure/failure.ts";
import type { Embedder } from "./embedder.ts";

export type EmbedderWorld = {
  readonly embedder: Embedder;
  /** Another one of the same kind, for the tests that close it. */
  open(): Promise<Embedder>;
  close(): Promise<void>;
};

const never = new AbortController().signal;
const TEXTS = [
  "The lease belongs to one worker for a minute.",
  "Ein Satz mit Umlauten: Überprüfung der Größe.",
  "短い文章です。",
  `A longer one, ${"so that the batch holds texts of different length and would have to be padded, ".repeat(8)}`,
  "x",
];

export function embedderContract(kind: string, openWorld: () => Promise<EmbedderWorld>): void {
  describe(`${kind}: the embedder contract`, { timeout: 60_000 }, () => {
    let world: EmbedderWorld;

    beforeAll(async () => {
      world = await openWorld();
    }, 60_000);

    afterAll(async () => {
      await world?.embedder.close();
      await world?.close();
    });

    test("every text gets a finite vector of the model's dimension", async () => {
      const { vectors, tokens } = await world.embedder.embed(TEXTS, never);

      expect(vectors.map((vector) => vector.length)).toEqual(TEXTS.map(() => world.embedder.dimensions));
      expect(vectors.every((vector) => vector.every(Number.isFinite))).toBe(true);
      expect(tokens).toBeGreaterThan(TEXTS.length);
    });

    test("a text's vector is the same alone and at any place of a batch", async () => {
      const { vectors } = await world.embedder.embed(TEXTS, never);

      for (const [at, text] of TEXTS.entries()) {
        const alone = await world.embedder.embed([text], never);
        expect(cosine(alone.vectors[0], vectors[at])).toBeGreaterThan(0.9999);
      }
    });

    test("the same text gets the same vector again, and another text another one", async () => {
      const { vectors } = await world.embedder.embed(["one thing", "another thing", "one thing"], never);

      expect(cosine(vectors[0], vectors[2])).toBeGreaterThan(0.9999);
      expect(cosine(vectors[0], vectors[1])).toBeLessThan(0.99);
    });

    test("a text at the limit is embedded whole, and one above it is refused and named", async () => {
      const { embedder } = world;
      const longest = wordsUpTo(embedder, embedder.limits.maxTokensPerInput);

      const whole = await embedder.embed([longest, `${longest.slice(0, -5)} house`], never);
      const refusal = await failureOf(embedder.embed(["short", `${longest} word word`], never));

      expect(cosine(whole.vectors[0], whole.vectors[1])).toBeLessThan(0.999999);
      expect(refusal).toMatchObject({ code: "embed.input-rejected", facts: { input: 1 } });
    });

    test.each([
      ["an empty text", ""],
      ["white space", " \n\t "],
    ])("%s is refused and named", async (_what, text) => {
      const failure = await failureOf(world.embedder.embed(["fine", text], never));

      expect(failure).toMatchObject({ code: "embed.input-rejected", kind: "permanent", facts: { input: 1 } });
    });

    test("no texts give no vectors", async () => {
      const answer = await world.embedder.embed([], never);

      expect(answer).toEqual({ vectors: [], tokens: 0 });
    });

    test("more texts than one request holds are the caller's mistake", async () => {
      const texts = Array.from({ length: world.embedder.limits.maxItems + 1 }, () => "x");

      await expect(world.embedder.embed(texts, never)).rejects.toThrow(RangeError);
    });

    test("a call that was aborted before throws the reason", async () => {
      const lost = new Failure("job.lease-lost");

      const failure = await failureOf(world.embedder.embed(["text"], AbortSignal.abort(lost)));

      expect(failure).toBe(lost);
    });

    test("a call that is aborted midway throws the reason, and the next call works", async () => {
      const lost = new Failure("job.lease-lost");
      const abort = new AbortController();

      const call = failureOf(world.embedder.embed(TEXTS.concat(TEXTS, TEXTS, TEXTS), abort.signal));
      abort.abort(lost);

      expect(await call).toBe(lost);
      expect((await world.embedder.embed(["text"], never)).vectors).toHaveLength(1);
    });

    test("closing twice is safe, ends calls that run and refuses later ones", async () => {
      const embedder = await world.open();
      const call = failureOf(embedder.embed(TEXTS.concat(TEXTS, TEXTS, TEXTS), never));

      await Promise.all([embedder.close(), embedder.close()]);
      await embedder.close();

      expect((await call).code).toBe("worker.stopping");
      expect((await failureOf(embedder.embed(["text"], never))).code).toBe("worker.stopping");
    });
  });
}

/** The longest run of one-token words that fits. */
function wordsUpTo(embedder: Embedder, tokens: number): string {
  const text = Array.from({ length: tokens }, () => "word").join(" ");
  const counted = embedder.tokenizer.count(text);
  if (counted !== tokens) throw new Error(`"word" is no single token of ${embedder.tokenizer.name}`);
  return text;
}

export function cosine(one: Float32Array | undefined, other: Float32Array | undefined): number {
  if (one === undefined || other === undefined) return Number.NaN;
  const dot = (a: Float32Array, b: Float32Array) =>
    a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
  return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
}

export async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  const thrown = await promise.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  if (!(thrown instanceof Failure)) throw thrown;
  return thrown;
}
