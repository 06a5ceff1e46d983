// What was typed cannot be meant: one sentence, exit code 2.
import { Failure } from "../failure/failure.ts";

export const usage = (says: string): Failure => new Failure("usage.invalid", { says });
