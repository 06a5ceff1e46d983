// A bounded number of places, first come, first served. Who asks for many is not overtaken by those who ask for
// few: a big document waits no longer than a small one that came after it.

export type Places = {
  /**
   * Waits until `count` places are free (all of them for a larger count), and answers how to give them back; to
   * call that twice is safe. Throws the signal's reason when it fires before.
   */
  take(count: number, signal: AbortSignal): Promise<() => void>;
};

export function openPlaces(places: number): Places {
  let free = places;
  const line: { readonly count: number; readonly enter: () => void }[] = [];

  const admit = (): void => {
    for (let first = line[0]; first !== undefined && first.count <= free; first = line[0]) {
      line.shift();
      free -= first.count;
      first.enter();
    }
  };

  return {
    async take(asked, signal) {
      signal.throwIfAborted();
      const count = Math.min(asked, places);
      await new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          line.splice(line.indexOf(waiting), 1);
          reject(signal.reason);
          admit();
        };
        const enter = (): void => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        const waiting = { count, enter };
        signal.addEventListener("abort", leave, { once: true });
        line.push(waiting);
        admit();
      });
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        free += count;
        admit();
      };
    },
  };
}
