import { expect, test } from "vitest";
import type { Document, Original } from "../document/document.ts";
import { fetchOriginal } from "./fetch-original.ts";
import type { StepContext } from "./step-context.ts";

const ORIGINAL: Original = {
  path: "/tmp/a",
  name: "a.pdf",
  byteSize: 1,
  sha256: "",
  declaredMediaType: null,
  dispose: async () => undefined,
};

async function passwordOf(metadata: Document["metadata"]): Promise<string | undefined> {
  // SAFETY: fetching uses the document, the signal and the two functions below, and nothing else.
  const step = {
    document: { sourceUri: "file:///a.pdf", metadata },
    job: { id: "1" },
    signal: new AbortController().signal,
    activity: { say: () => undefined },
    touch: () => undefined,
  } as unknown as StepContext;
  return (await fetchOriginal(async () => ORIGINAL, step)).password;
}

test("the password in a document's metadata goes with its bytes; anything but a text is none", async () => {
  expect(await passwordOf({ password: "secret" })).toBe("secret");
  expect(await passwordOf({ password: 7 })).toBeUndefined();
  expect(await passwordOf({})).toBeUndefined();
});
