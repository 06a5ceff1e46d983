// What OpenAI does not tell in its answers: dimensions of its embedding models. Prices stand in config/prices.ts.
// Source: https://platform.openai.com/docs/guides/embeddings

type OpenAiModel = {
  readonly dimensions: number;
  /** Only these accept the `dimensions` parameter; others answer 400. */
  readonly shortens: boolean;
};

const models: Readonly<Record<string, OpenAiModel>> = {
  "text-embedding-3-small": { dimensions: 1536, shortens: true },
  "text-embedding-3-large": { dimensions: 3072, shortens: true },
  "text-embedding-ada-002": { dimensions: 1536, shortens: false },
};

/** The model's row; gateways put a vendor before the name (`openai/text-embedding-3-small`). */
export function openAiModel(name: string): OpenAiModel | undefined {
  return models[name.slice(name.lastIndexOf("/") + 1)];
}
