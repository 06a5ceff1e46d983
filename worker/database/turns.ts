// One thing at a time, callers in turn: a caller that asks a hundred times at once waits for others between.

export type Turns = {
  /** Runs `work` when it is this caller's turn. A signal that fires while it still waits takes it out. */
  take<Result>(caller: object, work: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
};

type Waiting = { readonly start: () => Promise<void> };

export function openTurns(): Turns {
  // A Map keeps the order in which callers last joined the round.
  const round = new Map<object, Waiting[]>();
  let running = false;
  let whenIdle: (() => void)[] = [];

  const next = async (): Promise<void> => {
    if (running) return;
    running = true;
    for (
      let first = round.entries().next().value;
      first !== undefined;
      first = round.entries().next().value
    ) {
      const [caller, queue] = first;
      const turn = queue.shift();
      round.delete(caller);
      if (queue.length > 0) round.set(caller, queue);
      await turn?.start();
    }
    running = false;
    for (const tell of whenIdle) tell();
    whenIdle = [];
  };

  return {
    take(caller, work, signal) {
      return new Promise((resolve, reject) => {
        const turn: Waiting = {
          start: async () => {
            signal?.removeEventListener("abort", leave);
            await work().then(resolve, reject);
          },
        };
        const leave = () => {
          const queue = round.get(caller);
          const place = queue?.indexOf(turn) ?? -1;
          if (queue !== undefined && place >= 0) queue.splice(place, 1);
          reject(signal?.reason);
        };
        if (signal?.aborted) return reject(signal.reason);
        signal?.addEventListener("abort", leave, { once: true });
        const queue = round.get(caller);
        if (queue === undefined) round.set(caller, [turn]);
        else queue.push(turn);
        void next();
      });
    },
    idle: () => (running ? new Promise((resolve) => whenIdle.push(resolve)) : Promise.resolve()),
  };
}
