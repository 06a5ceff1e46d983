// The bus that wakes the worker, as far as the claim loop cares: how long it may sleep, and where it can be called.

export type HintSource = {
  state(): "live" | "unreachable" | "silent";
  /** The channel on which the database should notify us; null for none. */
  listens(): string | null;
};
