import { expect, test } from "vitest";
import type { FailureCode } from "../failure/catalogue.ts";
import { Failure } from "../failure/failure.ts";
import { groupsOf, MOST_MESSAGE_BYTES, readMessage } from "./message.ts";

const bytes = (value: unknown) =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const entity = { entity_id: "42", entity_type: "task", content: "Mow the lawn" };
const message = (data: unknown, fields: object = {}) => bytes({ message_id: "m1", data, ...fields });

function refusalOf(read: () => unknown): { code: FailureCode; says: string } {
  try {
    read();
  } catch (thrown) {
    if (thrown instanceof Failure) return { code: thrown.code, says: thrown.message };
  }
  throw new Error("it was read");
}

test.each([
  ["vector.index.request", ["vector_indexing"]],
  ["mcp.task.created", ["vector_indexing", "relationship_analysis"]],
  ["mcp.page.updated", ["vector_indexing", "relationship_analysis"]],
  ["relationship.analyze.request", ["relationship_analysis"]],
  ["data.sync.request", ["data_sync"]],
  ["data.validate.request", ["data_sync"]],
  ["mcp.task.deleted", []],
  ["mcp.a.b.created", []],
  ["mcp..created", []],
])("a message on %s is for %j", (subject, expected) => {
  expect(groupsOf(subject)).toEqual(expected);
});

test("an entity is read with its time, and says its type in its subject when its data does not", () => {
  const { entity_type: _, ...untyped } = entity;
  const read = readMessage("mcp.page.updated", message(untyped, { timestamp: "2026-11-22T10:00:00+01:00" }));

  expect(read).toMatchObject({
    kind: "entity",
    messageId: "m1",
    at: "2026-11-22T09:00:00.000Z",
    data: { entity_id: "42", entity_type: "page" },
  });
});

test("numbers for ids are ids, and text is cleaned of what no database takes", () => {
  const read = readMessage(
    "vector.index.request",
    message({ ...entity, entity_id: 42, content: "a\u0000b" }),
  );

  expect(read.data).toMatchObject({ entity_id: "42", content: "ab" });
});

test("a sender's broken clock is no time", () => {
  expect(readMessage("vector.index.request", message(entity, { timestamp: 9e15 })).at).toBeNull();
  expect(readMessage("vector.index.request", message(entity, { timestamp: "soon" })).at).toBeNull();
});

test("a request for validation is a sync of that kind", () => {
  expect(readMessage("data.validate.request", message({})).data).toMatchObject({
    sync_type: "data_validation",
  });
});

test.each([
  ["no JSON", "{", "ingress.malformed", /JSON/],
  ["no text at all", new Uint8Array([0xff, 0xfe, 0x00]), "ingress.malformed", /JSON/],
  ["an array", [], "ingress.malformed", /./],
  ["null", "null", "ingress.malformed", /./],
  ["no id of the message", { data: entity }, "ingress.malformed", /message_id/],
  ["an empty id", { message_id: "", data: entity }, "ingress.malformed", /message_id/],
  ["no data", { message_id: "m" }, "ingress.malformed", /data/],
  [
    "an id that is an object",
    { message_id: "m", data: { ...entity, entity_id: {} } },
    "ingress.malformed",
    /data.entity_id/,
  ],
  [
    "a type with blanks",
    { message_id: "m", data: { ...entity, entity_type: "a b" } },
    "ingress.malformed",
    /data.entity_type/,
  ],
] as const)("%s is refused with the field's name and without its content", (_, given, code, says) => {
  const sent = given instanceof Uint8Array ? given : bytes(given);
  const refused = refusalOf(() => readMessage("vector.index.request", sent));

  expect(refused.code).toBe(code);
  expect(refused.says).toMatch(says);
  expect(refused.says).not.toContain("Mow");
});

test("a message that is too large is not even parsed", () => {
  const large = new Uint8Array(MOST_MESSAGE_BYTES + 1);
  expect(refusalOf(() => readMessage("vector.index.request", large)).code).toBe("ingress.too-large");
});

test("a subject that nobody listens to is refused", () => {
  expect(refusalOf(() => readMessage("mcp.task.deleted", message(entity))).code).toBe(
    "ingress.unknown-subject",
  );
});
