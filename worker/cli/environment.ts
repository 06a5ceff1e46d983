// The settings' environment of this run: the process's own over .env.local over .env of the folder we are in.
import { type Environment, environmentOf } from "../config/config.ts";

/** Throws `config.invalid` when a file cannot be read. */
export const environmentOfRun = (): Environment => environmentOf(process.cwd(), process.env);
