// What a check says: how it stands, the fact, and for anything not green what to do about it.
import { adviseOperator } from "../../failure/describe.ts";
import { failureFromUnknown } from "../../failure/from-unknown.ts";

export type Colour = "green" | "yellow" | "red";

export type Finding = {
  readonly check: string;
  readonly status: Colour;
  /** A fact, such as `PostgreSQL 17.2`. Never a secret. */
  readonly says: string;
  /** null when there is nothing to do. */
  readonly advice: string | null;
};

export const green = (check: string, says: string): Finding => ({
  check,
  status: "green",
  says,
  advice: null,
});
export const yellow = (check: string, says: string, advice: string): Finding => ({
  check,
  status: "yellow",
  says,
  advice,
});
export const red = (check: string, says: string, advice: string): Finding => ({
  check,
  status: "red",
  says,
  advice,
});

/** Runs a check; what it throws is its finding. */
export async function attempt(
  check: string,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (thrown) {
    const failure = failureFromUnknown(thrown);
    const cause = failure.kind === "defect" ? ` ${String(failure.cause)}` : "";
    return [red(check, `failed [${failure.code}]`, adviseOperator(failure) + cause)];
  }
}
