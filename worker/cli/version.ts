// The product's version, from package.json alone, so that a release changes one place.
import { readFileSync } from "node:fs";

export function versionOf(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String((JSON.parse(text) as { version: unknown }).version); // SAFETY: our own file.
}
