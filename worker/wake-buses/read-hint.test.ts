import { expect, test } from "vitest";
import { isHint } from "./read-hint.ts";

test.each([
  ["an enqueuing client's", '{"document_id":"6f2c","job_id":"0d3e"}'],
  [
    "the insert trigger's",
    '{"operation":"INSERT","document_id":null,"file_path":"a/b.pdf","timestamp":"2026-01-01"}',
  ],
  ["one with numbers for ids", '{"document_id":12}'],
  ["one with fields of its own", '{"job_id":"1","tenant":{"name":"acme"}}'],
  ["an empty object", "{}"],
  ["nothing at all", ""],
  ["bytes", new TextEncoder().encode('{"job_id":"1"}')],
])("%s is a hint", (_, payload) => {
  expect(isHint(payload)).toBe(true);
});

test.each([
  ["text", "hello"],
  ["a number", "7"],
  ["null", "null"],
  ["a list", "[]"],
  ["a string", '"job"'],
  ["an object cut short", '{"job_id":"1"'],
  ["an id that is a list", '{"document_id":[1]}'],
  ["an id that is an object", '{"job_id":{}}'],
  ["a deep nest", "[".repeat(8000)],
  ["more than a notification holds", `{"job_id":"${"x".repeat(8000)}"}`],
  ["bytes that are no text", new Uint8Array([0xff, 0xfe, 0x00])],
])("%s is none", (_, payload) => {
  expect(isHint(payload)).toBe(false);
});
