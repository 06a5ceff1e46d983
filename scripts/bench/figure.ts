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
