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
  /** A line for whoever watches, on stderr. */
  readonly progress: (line: string) => void;
};
