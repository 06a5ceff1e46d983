// The kinds of settings: each knows its name in the environment, its default, its bounds and its sentence.
import { z } from "zod";

export type Setting<Value> = {
  /** Name in the environment; further names are accepted in order. */
  readonly names: readonly [string, ...string[]];
  readonly fallback: Value;
  /** Default as documented, where the value itself does not say it. */
  readonly fallbackSays: string;
  readonly says: string;
  readonly secret: boolean;
  readonly parse: z.ZodType<Value>;
  /** What is accepted, in words: `10..900`, `true or false`. */
  readonly accepts: string;
};

type Options<Value> = { readonly fallback: Value; readonly says: string; readonly fallbackSays?: string };
type Name = string | readonly [string, ...string[]];

function setting<Value>(
  name: Name,
  options: Options<Value>,
  parse: z.ZodType<Value>,
  accepts: string,
  secret = false,
): Setting<Value> {
  const shown = options.fallback === null || options.fallback === undefined ? "–" : String(options.fallback);
  return {
    names: typeof name === "string" ? [name] : name,
    fallback: options.fallback,
    fallbackSays: options.fallbackSays ?? shown,
    says: options.says,
    secret,
    parse,
    accepts,
  };
}

export const text = <Fallback extends string | null>(name: Name, options: Options<Fallback>) =>
  setting<string | Fallback>(
    name,
    options,
    z.string().trim().min(1) as unknown as z.ZodType<string | Fallback>,
    "text",
  );

export const secret = (name: Name, options: { readonly says: string }) =>
  setting<string | null>(name, { fallback: null, ...options }, z.string().trim().min(1), "text", true);

/** An address that may carry credentials: treated as a secret everywhere. */
export const address = (name: Name, schemes: readonly string[], options: { readonly says: string }) =>
  setting<string | null>(
    name,
    { fallback: null, ...options },
    z
      .string()
      .trim()
      .refine((value) => {
        const scheme = URL.canParse(value) ? new URL(value).protocol.slice(0, -1) : "";
        return schemes.includes(scheme);
      }),
    `an address that starts with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
    true,
  );

type NumberOptions<Fallback> = Options<Fallback> & { readonly min: number; readonly max: number };

export const integer = <Fallback extends number | null>(name: Name, options: NumberOptions<Fallback>) =>
  setting<number | Fallback>(
    name,
    options,
    z.coerce.number().int().min(options.min).max(options.max) as unknown as z.ZodType<number | Fallback>,
    `${options.min}..${options.max}`,
  );

export const seconds = integer<number>;

const truths: Readonly<Record<string, boolean>> = { true: true, "1": true, yes: true, on: true };
const untruths: Readonly<Record<string, boolean>> = { false: false, "0": false, no: false, off: false };

export const flag = (name: Name, options: Options<boolean>) =>
  setting<boolean>(
    name,
    options,
    z
      .string()
      .trim()
      .toLowerCase()
      .refine((value) => value in truths || value in untruths, "must be true or false")
      .transform((value) => value in truths) as unknown as z.ZodType<boolean>,
    "true or false",
  );

export const choice = <const Choices extends readonly [string, ...string[]]>(
  name: Name,
  choices: Choices,
  options: Options<Choices[number]>,
) =>
  setting<Choices[number]>(
    name,
    options,
    z.enum(choices) as unknown as z.ZodType<Choices[number]>,
    choices.join(", "),
  );

/** A comma-separated list. */
export const list = <const Choices extends readonly [string, ...string[]]>(
  name: Name,
  choices: Choices,
  options: Options<readonly Choices[number][]>,
) =>
  setting<readonly Choices[number][]>(
    name,
    options,
    z
      .string()
      .transform((value) =>
        value
          .split(",")
          .map((item) => item.trim())
          .filter(Boolean),
      )
      .pipe(z.array(z.enum(choices)).min(1)) as unknown as z.ZodType<readonly Choices[number][]>,
    `a list of ${choices.join(", ")}`,
  );

/** A part of a whole. */
export const share = (name: Name, options: Options<number>) =>
  setting<number>(name, options, z.coerce.number().min(0).max(1), "0..1");

/** A sum of money in US dollars. */
export const dollars = (name: Name, options: Options<number | null>) =>
  setting<number | null>(name, options, z.coerce.number().min(0).max(1_000_000), "0..1000000");

const price = z.number().min(0).max(1_000_000);
/** US dollars by name, as a JSON object; for a model that writes, `{"input": …, "output": …}`. */
export const amounts = (name: Name, options: { readonly says: string }) =>
  setting<Amounts | null>(
    name,
    { fallback: null, ...options },
    z
      .string()
      .transform((value, context) => {
        try {
          return JSON.parse(value) as unknown;
        } catch {
          context.addIssue("not JSON");
          return z.NEVER;
        }
      })
      .pipe(
        z.record(
          z.string().min(1),
          z.union([price, z.strictObject({ input: price, output: price, cache_read: price.optional() })]),
        ),
      ) as unknown as z.ZodType<Amounts | null>,
    'a JSON object such as {"my-model": 0.02}',
  );

export type Amounts = Readonly<
  Record<
    string,
    number | { readonly input: number; readonly output: number; readonly cache_read?: number | undefined }
  >
>;

/** Regular expressions with two groups, parted by white space. */
export const patterns = (
  name: Name,
  options: Options<readonly string[]> & { readonly groups: number; readonly fallbackSays: string },
) =>
  setting<readonly string[]>(
    name,
    options,
    z
      .string()
      .transform((value) => value.split(/\s+/).filter(Boolean))
      .pipe(
        z
          .array(
            z
              .string()
              .max(500)
              .refine(
                (pattern) => groupsOf(pattern) === options.groups,
                `must be regular expressions with ${options.groups} groups each`,
              ),
          )
          .min(1)
          .max(20),
      ) as unknown as z.ZodType<readonly string[]>,
    "regular expressions, parted by blanks",
  );

function groupsOf(pattern: string): number | null {
  try {
    // With an empty alternative it matches everything, and tells of all its groups.
    return (new RegExp(`${pattern}|`).exec("")?.length ?? 0) - 1;
  } catch {
    return null;
  }
}
