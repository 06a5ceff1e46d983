// What happened, said once; everybody who cares listens.
import type { EventName, Events } from "./catalogue.ts";

/** A listener must not throw and must return at once. */
export type Listener = <Name extends EventName>(name: Name, facts: Events[Name]) => void;

export type Activity = {
  say<Name extends EventName>(name: Name, facts: Events[Name]): void;
  /** Returns the function that stops listening. */
  listen(listener: Listener): () => void;
};

export function openActivity(): Activity {
  const listeners = new Set<Listener>();
  return {
    say(name, facts) {
      for (const listener of listeners) listener(name, facts);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
