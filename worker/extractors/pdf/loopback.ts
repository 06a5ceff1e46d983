// The way between the two halves of pdf.js, which live in one thread here. Its own way clones each message as if it
// crossed to another thread; here a message's lists are copied, because the sender empties them and fills them again,
// and what stands in them is handed over: it waits there until it is sent, so nobody changes it any more.
type Listener = (event: { readonly data: unknown }) => void;

/** What pdf.js uses of a MessagePort. */
export type Port = {
  postMessage(message: unknown): void;
  addEventListener(name: string, listener: Listener, options?: { readonly signal?: AbortSignal }): void;
  removeEventListener(name: string, listener: Listener): void;
};

/** A message, its content, the content's lists. */
const COPIED_LEVELS = 3;

/** Two ends: what is posted at one is heard at the other, later and in order. */
export function openLoopback(): readonly [Port, Port] {
  const [here, there] = [new Set<Listener>(), new Set<Listener>()];
  return [endOf(here, there), endOf(there, here)];
}

function endOf(own: Set<Listener>, others: ReadonlySet<Listener>): Port {
  return {
    postMessage(message) {
      const event = { data: copyOf(message, COPIED_LEVELS) };
      queueMicrotask(() => {
        for (const listener of others) listener(event);
      });
    },
    addEventListener(_, listener, options) {
      own.add(listener);
      options?.signal?.addEventListener("abort", () => own.delete(listener), { once: true });
    },
    removeEventListener(_, listener) {
      own.delete(listener);
    },
  };
}

/** Lists and plain objects to so many levels; instances of classes are nobody's to change. */
function copyOf(value: unknown, levels: number): unknown {
  if (levels === 0 || typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return levels === 1 ? value.slice() : value.map((one) => copyOf(one, levels - 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy: Record<string, unknown> = {};
  for (const key of Object.keys(value))
    copy[key] = copyOf((value as Record<string, unknown>)[key], levels - 1);
  return copy;
}
