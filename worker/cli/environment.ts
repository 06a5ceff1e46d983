// The settings' environment of this run: the process's own over .env.local over .env of the folder we are in.
import { type Environment, environmentOf } from "../config/config.ts";
import { openRedactor, type Redact, secretsIn } from "../log/redact.ts";

/** Throws `config.invalid` when a file cannot be read. */
export const environmentOfRun = (): Environment => environmentOf(process.cwd(), process.env);

/** Cleans what is printed of an error that others wrote: libraries like to quote the address or key they choked on. */
export function redactorOfRun(): Redact {
  try {
    return openRedactor(secretsIn(environmentOfRun()));
  } catch {
    // The file that cannot be read: what was set beside it is known all the same.
    return openRedactor(secretsIn(process.env));
  }
}
