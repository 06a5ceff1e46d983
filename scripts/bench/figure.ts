// One measured value, as --json prints it.

export type Figure = {
  readonly bench: string;
  readonly case: string;
  readonly contestant: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  /** What the value is a ratio to, where it is one. */
  readonly ratio_to?: string;
};
export type Report = (figure: Figure) => void;

/** What the command line may ask of a bench; null leaves it to the bench. */
export type BenchOptions = {
  readonly rounds: number | null;
  readonly jobs: number | null;
  /** Contestants whose names contain it; null for all. */
  readonly only: string | null;
  /** A line for whoever watches, on stderr. */
  readonly progress: (line: string) => void;
};

/** Those that are asked for. */
export const asked = <Entry extends { readonly name: string }>(
  entries: readonly Entry[],
  options: BenchOptions,
): readonly Entry[] => entries.filter((entry) => entry.name.includes(options.only ?? ""));
