// What every contestant of the pipeline bench beside our worker is: a program that is told where the documents, the
// provider and the database are, loads what it needs, and then takes documents to stored vectors.

export const rivalNames = [
  "langchain, a document a job",
  "langchain, batches",
  "llamaindex, a document a job",
  "llamaindex, batches",
  "bare loop",
] as const;
export type RivalName = (typeof rivalNames)[number];

export type RivalSettings = {
  readonly root: string;
  readonly names: readonly string[];
  readonly databaseUrl: string;
  readonly baseUrl: string;
  readonly model: string;
  readonly dimensions: number;
  /** Texts a request, requests in flight, chunks' characters at most: equal for all. */
  readonly batch: number;
  readonly concurrency: number;
  readonly chunkChars: number;
};

/** Made ready by its opener: connected, tables there. Answers how many chunks it stored. */
export type Rival = { ingest(): Promise<number>; close(): Promise<void> };
export type OpenRival = (settings: RivalSettings) => Promise<Rival>;

export type RivalResult = { readonly chunks: number; readonly seconds: number };

/** Runs `work` on every item, so many at once, in order; the first failure ends it. */
export async function inLanes<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  lanes: number,
  work: (item: Item, lane: number) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  // One asks for the next item at a time: a generator must not be entered twice.
  let turn: Promise<unknown> = Promise.resolve();
  const next = () => {
    const asked = turn.then(() => iterator.next());
    turn = asked.catch(() => {});
    return asked;
  };
  const lane = async (number: number) => {
    for (let step = await next(); step.done !== true; step = await next()) await work(step.value, number);
  };
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
}

/** Gathers items into batches; the last may be smaller. */
export async function* inBatches<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let batch: Item[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
