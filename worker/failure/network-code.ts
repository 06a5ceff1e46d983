// What may be repeated of an error that somebody else made.

/** The system's code for a broken connection (`ECONNREFUSED`), which libraries wrap two or three deep. */
export function networkCode(error: unknown): string {
  let at: unknown = error;
  for (let depth = 0; depth < 5 && at instanceof Error; depth++) {
    if ("code" in at && typeof at.code === "string") return safeWord(at.code) ?? "network";
    at = at.cause;
  }
  return "network";
}

/** Codes and ids of providers are words; anything longer or stranger is not repeated. */
export function safeWord(value: unknown): string | undefined {
  return typeof value === "string" && /^[\w.-]{1,64}$/.test(value) ? value : undefined;
}
