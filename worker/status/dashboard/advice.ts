// What the catalogue says of an error, for whoever looks at it.
import { catalogue, type FailureCode } from "../../failure/catalogue.ts";

/** With what the catalogue says of its error. */
export function advised<Row extends { readonly error_code: string | null }>(row: Row) {
  const code = row.error_code;
  if (code === null || !(code in catalogue)) return { ...row, advice: null };
  const { user, operator } = catalogue[code as FailureCode];
  return { ...row, advice: { user, operator } };
}
