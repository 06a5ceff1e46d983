// Takes what nobody may read out of a string: the configuration's secrets, and credentials and query of
// every address. Works by value: a key in the message of a library's error is found as well as one in a field.
import type { Config, Environment } from "../config/config.ts";
import { type Settings, settings } from "../config/settings.ts";

export type Redact = (text: string) => string;

const SHOWN = "[secret]";
// A shorter value is hidden only where it stands alone: searched for in every string, a token "a" would
// leave no word readable, and the holes would spell it.
const SHORTEST_SEARCHED = 4;
const SHORTEST_KEY_IN_PATH = 16;
// Nobody reads further, and an error that quotes a document must not fill the disk.
const LONGEST = 4_000;

const SECRET_PARAMETER = /password|key|token|secret|signature|^sig$/i;

/** Every secret value of the configuration, and of its addresses the password and the keys in the query. */
export const secretsOf = (config: Partial<Config>): string[] =>
  secretsAmong((key) => [config[key as keyof Settings]]); // SAFETY: a key of the table itself.

/** The same of an environment as it was written, where no configuration could be made of it. */
export const secretsIn = (environment: Environment): string[] =>
  secretsAmong((_key, names) => names.map((name) => environment[name]?.trim()));

function secretsAmong(valuesOf: (key: string, names: readonly string[]) => readonly unknown[]): string[] {
  const values = Object.entries(settings)
    .filter(([, { secret }]) => secret)
    .flatMap(([key, { names }]) => valuesOf(key, names))
    .filter((value): value is string => typeof value === "string" && !isBareAddress(value));
  return [...new Set(values.flatMap((value) => [value, ...partsOf(value)]))];
}

/** An address without anything to hide: where we connect is the first thing an operator asks. */
function isBareAddress(value: string): boolean {
  if (!value.includes("://") || !URL.canParse(value)) return false;
  const url = new URL(value);
  // Some services keep the key in the path.
  const keyInPath = url.pathname.split("/").some((part) => part.length >= SHORTEST_KEY_IN_PATH);
  return url.username + url.password + url.search + url.hash === "" && !keyInPath;
}

function partsOf(address: string): string[] {
  if (!URL.canParse(address)) return [];
  const url = new URL(address);
  // A password that is the user's name ("postgres:postgres") is no secret, and that word is in every line.
  const password = url.password === url.username ? [] : [url.password];
  const keys = [...url.searchParams]
    .filter(([name]) => SECRET_PARAMETER.test(name))
    .map(([, value]) => value);
  return [...password, ...keys].filter((part) => part.length >= SHORTEST_SEARCHED);
}

/** The function that cleans a string for the log; also cuts it at 4,000 characters. */
export function openRedactor(secrets: readonly string[]): Redact {
  const spelled = secrets.filter((secret) => secret !== "").flatMap(spellings);
  const alone = new Set(spelled);
  const searched = [...alone]
    .filter((secret) => secret.length >= SHORTEST_SEARCHED)
    // The longest first: an address goes whole, not only the password in it.
    .sort((one, other) => other.length - one.length);
  return (text) => {
    if (alone.has(text)) return SHOWN;
    // Cut last: a secret that lies across the cut would otherwise leave its first half.
    let clean = text.length > 16 * LONGEST ? text.slice(0, 16 * LONGEST) : text;
    for (const secret of searched) clean = clean.replaceAll(secret, SHOWN);
    clean = withoutCredentials(clean);
    return clean.length <= LONGEST ? clean : `${clean.slice(0, LONGEST)}… (${text.length} characters)`;
  };
}

/** A secret as it may be written inside an address, a JSON text or an Authorization header. */
function spellings(secret: string): string[] {
  const decoded = decodedOf(secret);
  const plain = [secret, decoded, encodeURIComponent(decoded), JSON.stringify(secret).slice(1, -1)];
  return secret.length < SHORTEST_SEARCHED * 2
    ? plain
    : [...plain, Buffer.from(secret).toString("base64").replace(/=+$/, "")];
}

function decodedOf(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone % is no encoding.
  }
}

const ADDRESS = /\b([a-z][a-z0-9+.-]{1,30}:\/\/)([^\s"'`<>\\]+)/gi;

/** Every address in the text without user, password, query and fragment. */
export function withoutCredentials(text: string): string {
  if (!text.includes("://")) return text;
  return text.replace(ADDRESS, (_whole, scheme: string, rest: string) => scheme + withoutUser(rest));
}

function withoutUser(rest: string): string {
  const authority = rest.split(/[/?#]/, 1)[0] ?? "";
  // `user:pass/word@host`: what follows the colon is no port, so the user part reaches to the last @ of all.
  const looksCut = !authority.includes("@") && /:(?!\d*$)/.test(authority) && !authority.startsWith("[");
  const end = looksCut ? rest.lastIndexOf("@") : authority.lastIndexOf("@");
  return rest.slice(end + 1).replace(/[?#].*$/, "");
}
