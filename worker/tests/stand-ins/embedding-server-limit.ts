// A provider's rate limit, as OpenAI keeps it: requests and tokens flow into a bucket each, steadily, and a request
// that finds one empty is refused and costs nothing.

export type RateLimit = {
  readonly requestsPerMinute: number;
  readonly tokensPerMinute?: number;
  /** How much may be used at once, in seconds of the rate; OpenAI's is a minute. */
  readonly burstSeconds?: number;
  /** What it says of itself: everything, only when to come back, or nothing. Default "all". */
  readonly hints?: "all" | "retry-after" | "none";
};

export type Limiter = {
  /** The headers of the answer, and whether the request is refused. */
  admit(tokens: number): { readonly refused: boolean; readonly headers: Record<string, string> };
  /** From now on. What is in the buckets stays, as far as there is room. */
  change(limit: RateLimit): void;
  /** What was admitted and refused, and how many requests could have been (what was there at the beginning, and what
   * has come in) since the limiter began or was reset. */
  readonly counts: { admitted: number; refused: number; tokens: number };
  offered(): number;
  /** Begins to count anew. */
  reset(): void;
};

export function openLimiter(first: RateLimit): Limiter {
  let limit = first;
  let requests = openBucket(limit.requestsPerMinute, limit.burstSeconds ?? 60);
  let tokens = limit.tokensPerMinute ? openBucket(limit.tokensPerMinute, limit.burstSeconds ?? 60) : null;
  const counts = { admitted: 0, refused: 0, tokens: 0 };
  let since = performance.now();
  let offered = requests.level();
  const account = () => {
    const now = performance.now();
    offered += (limit.requestsPerMinute * (now - since)) / 60_000;
    since = now;
  };
  return {
    counts,
    admit(used) {
      const refused = !requests.has(1) || tokens?.has(used) === false;
      if (refused) counts.refused += 1;
      else {
        counts.admitted += 1;
        counts.tokens += used;
        requests.use(1);
        tokens?.use(used);
      }
      return { refused, headers: headersOf(limit, requests, tokens, refused) };
    },
    change(next) {
      account();
      limit = next;
      requests = openBucket(next.requestsPerMinute, next.burstSeconds ?? 60, requests.level());
      tokens = next.tokensPerMinute
        ? openBucket(next.tokensPerMinute, next.burstSeconds ?? 60, tokens?.level())
        : null;
    },
    offered() {
      account();
      return offered;
    },
    reset() {
      account();
      offered = requests.level();
      Object.assign(counts, { admitted: 0, refused: 0, tokens: 0 });
    },
  };
}

type Bucket = ReturnType<typeof openBucket>;

function openBucket(perMinute: number, burstSeconds: number, start = Number.POSITIVE_INFINITY) {
  const size = Math.max(1, (perMinute * burstSeconds) / 60);
  let level = Math.min(start, size);
  let at = performance.now();
  const fill = () => {
    const now = performance.now();
    level = Math.min(size, level + (perMinute * (now - at)) / 60_000);
    at = now;
    return level;
  };
  return {
    size,
    level: fill,
    has: (amount: number) => fill() >= Math.min(amount, size),
    use: (amount: number) => {
      level -= amount;
    },
    fullInMs: () => ((size - fill()) / perMinute) * 60_000,
    nextInMs: () => Math.max(0, ((1 - fill()) / perMinute) * 60_000),
  };
}

function headersOf(limit: RateLimit, requests: Bucket, tokens: Bucket | null, refused: boolean) {
  const { hints = "all" } = limit;
  const retry = Math.ceil(Math.max(requests.nextInMs(), tokens?.nextInMs() ?? 0, 1));
  const headers: Record<string, string> = {};
  if (hints !== "none" && refused) headers["retry-after-ms"] = String(retry);
  if (hints !== "all") return headers;
  for (const [of, bucket] of Object.entries({ requests, tokens })) {
    if (bucket === null) continue;
    headers[`x-ratelimit-limit-${of}`] = String(Math.floor(bucket.size));
    headers[`x-ratelimit-remaining-${of}`] = String(Math.max(0, Math.floor(bucket.level())));
    headers[`x-ratelimit-reset-${of}`] = `${Math.ceil(bucket.fullInMs())}ms`;
  }
  return headers;
}
