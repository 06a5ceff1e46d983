// A canary in every secret setting, made from the table of settings: one that is added tomorrow has one too.
import { randomBytes } from "node:crypto";
import { type Settings, settings } from "../../config/settings.ts";

export type SettingKey = keyof Settings;

/** Words that look like nothing else, so that whatever holds one has it from us. */
export const canary = (about: string): string =>
  `canary-${about.toLowerCase()}-${randomBytes(16).toString("hex")}`;

/** The canaries in a text, also in base64 as headers carry them: `canary-` as it may lie in groups of three bytes. */
export const canariesIn = (text: string): string[] => [
  ...new Set(text.match(/canary-[a-z]+-[0-9a-f]{4,32}|Y2FuYXJ5L|NhbmFyeS[01]|jYW5hcnkt/g)),
];

export const secretKeys = (Object.keys(settings) as SettingKey[]).filter((key) => settings[key].secret);

/** The schemes that an address may have; null for a secret that is none. */
export function schemesOf(key: SettingKey): readonly string[] | null {
  const { accepts } = settings[key];
  const schemes = Array.from(accepts.matchAll(/(\w+):\/\//g), ([, scheme]) => String(scheme));
  return schemes.length === 0 ? null : schemes;
}

/**
 * An environment with all of them. `address` says the address of a setting that is one, with its canary in it;
 * `own` the whole value where another would not do.
 */
export function plantCanaries(
  address: (key: SettingKey, schemes: readonly string[], bird: string) => string,
  own: Partial<Record<SettingKey, (bird: string) => string>> = {},
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    secretKeys.map((key) => {
      const bird = canary(key);
      const schemes = schemesOf(key);
      const value = own[key]?.(bird) ?? (schemes === null ? bird : address(key, schemes, bird));
      return [settings[key].names[0], value];
    }),
  );
}
