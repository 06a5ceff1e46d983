// Which faults a run injects, where and in which order: a pure function of its seed. Each place has a lane of
// its own; the faults of one lane follow each other, the lanes run side by side.
import { type Random, randomFrom } from "../../random.ts";

/** Workers 0 and 1 are on a session connection, 2 on PgBouncer, 3 on the Supabase API. */
export const WORKERS = 4;
export const SUPABASE = 3;
export type Lane = 0 | 1 | 2 | 3 | "database";
export const lanes: readonly Lane[] = [0, 1, 2, 3, "database"];

const anyWorker: readonly Lane[] = [0, 1, 2, 3];

/** Where each kind can happen. */
const places = {
  /** SIGKILL, then another worker in its place. */
  kill: anyWorker,
  /** SIGSTOP for longer than a lease, then SIGCONT. */
  freeze: anyWorker,
  /** SIGTERM with a short grace, then another worker. */
  term: anyWorker,
  /** Bytes of one or both directions wait, sometimes for longer than a lease. */
  stall: anyWorker,
  /** Connections end with FIN. */
  cut: anyWorker,
  /** Connections end with RST. */
  reset: anyWorker,
  /** Open connections carry nothing more and do not say so. */
  "half-open": anyWorker,
  /** Every piece of one or both directions is late. */
  delay: anyWorker,
  /** A call of a function is sent twice. */
  "rpc-twice": [SUPABASE],
  /** A call is executed and its answer lost, so that the client sends it again. */
  "rpc-cut": [SUPABASE],
  /** Wake-ups are lost. */
  "wake-dropped": [0, 1],
  /** Wake-ups come twice, and others that mean nothing come with them. */
  "wake-doubled": [0, 1],
  /** pg_terminate_backend for some of the sessions, the poolers' too. */
  terminate: ["database"],
  "restart-fast": ["database"],
  "restart-immediate": ["database"],
  /** An operator resets jobs at work by hand. */
  "hand-reset": ["database"],
} as const satisfies Readonly<Record<string, readonly Lane[]>>;

export type FaultKind = keyof typeof places;
export const faultKinds = Object.keys(places) as readonly FaultKind[]; // SAFETY: its own keys.

export type Fault = {
  readonly number: number;
  readonly kind: FaultKind;
  readonly lane: Lane;
  /** Quiet time before it. */
  readonly afterMs: number;
  /** How long it lasts, for kinds that last. */
  readonly forMs: number;
  readonly directions: readonly ("up" | "down")[];
};

export type Plan = {
  readonly seed: number;
  readonly faults: readonly Fault[];
};

/** As many of each kind, give or take one, mixed by the seed. */
export function planFaults(
  seed: number,
  count: number,
  leaseMs: number,
  kinds: readonly FaultKind[] = faultKinds,
): Plan {
  const random = randomFrom(seed);
  const deck = Array.from({ length: count }, (_, at) => kinds[at % kinds.length] as FaultKind);
  const lanes = new Map<FaultKind, number>();
  const faults = random.shuffled(deck).map((kind, at): Fault => {
    // In turn, so that no lane is much longer than the others.
    const turn = lanes.get(kind) ?? random.between(0, WORKERS - 1);
    lanes.set(kind, turn + 1);
    const where: readonly Lane[] = places[kind];
    return {
      number: at + 1,
      kind,
      lane: where[turn % where.length] as Lane,
      // A restart in one lane is a fault for all the others: they need time to have something to lose.
      afterMs: where[0] === "database" ? random.between(800, 3200) : random.between(50, 600),
      forMs: durationOf(kind, leaseMs, random),
      directions: random.pick([["up"], ["down"], ["up", "down"]] as const),
    };
  });
  return { seed, faults };
}

function durationOf(kind: FaultKind, leaseMs: number, random: Random): number {
  switch (kind) {
    case "freeze":
      return leaseMs + random.between(300, 1200);
    case "stall":
    case "half-open":
      return random.pick([random.between(50, 800), leaseMs + random.between(200, 1000)]);
    case "delay":
    case "wake-dropped":
    case "wake-doubled":
      return random.between(500, 1500);
    case "restart-fast":
    case "restart-immediate":
      return random.pick([0, random.between(100, 1200)]);
    default:
      return random.between(0, 300);
  }
}
