// Who is connected, by user. One user's event goes to that user's sockets and to no other.
export type Receiver = {
  /** False when it cannot take it: it is about to be dropped. */
  send(text: string): boolean;
};

export type Hub = {
  /** null when there is no room; else the function that takes it out again. */
  add(userId: string, receiver: Receiver): (() => void) | null;
  /** To all sockets of one user; answers how many took it. */
  tell(userId: string, text: string): number;
  tellAll(text: string): void;
  size(): number;
};

const MOST_SOCKETS = 10_000;
// Tabs and devices of a person; more is a client that connects in a loop.
const MOST_OF_ONE_USER = 50;

export function openHub(): Hub {
  const users = new Map<string, Set<Receiver>>();
  let size = 0;
  return {
    add(userId, receiver) {
      const own = users.get(userId) ?? new Set();
      if (size >= MOST_SOCKETS || own.size >= MOST_OF_ONE_USER) return null;
      users.set(userId, own.add(receiver));
      size += 1;
      return () => {
        if (!own.delete(receiver)) return;
        size -= 1;
        if (own.size === 0 && users.get(userId) === own) users.delete(userId);
      };
    },
    tell(userId, text) {
      let taken = 0;
      for (const receiver of users.get(userId) ?? []) if (receiver.send(text)) taken += 1;
      return taken;
    },
    tellAll(text) {
      for (const own of users.values()) for (const receiver of own) receiver.send(text);
    },
    size: () => size,
  };
}
