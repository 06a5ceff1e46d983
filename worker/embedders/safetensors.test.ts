import { expect, test } from "vitest";
import { fromHalf, openSafetensors } from "./safetensors.ts";

function fileOf(header: Record<string, unknown>, data: Buffer): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  return Buffer.concat([length, json, data]);
}

// [bits, value], from the standard's own examples: one, the smallest subnormal, the largest number, infinities.
test.each([
  [0x3c00, 1],
  [0xc000, -2],
  [0x3555, 0.333251953125],
  [0x0001, 2 ** -24],
  [0x7bff, 65_504],
  [0xfc00, Number.NEGATIVE_INFINITY],
  [0x7e00, Number.NaN],
])("the half with bits %i is %f", (bits, value) => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(bits);

  const values = fromHalf(bytes);

  expect([...values]).toEqual([value]);
});

test("a tensor is found by its name, wherever it stands in the file", () => {
  const data = Buffer.from([0x00, 0x3c, 0x00, 0x40, 0x00, 0xbc]);
  const entry = (shape: number[], from: number, to: number) => ({
    dtype: "F16",
    shape,
    data_offsets: [from, to],
  });
  const header = { __metadata__: { format: "pt" }, second: entry([2, 1], 2, 6), first: entry([1], 0, 2) };

  const tensor = openSafetensors(fileOf(header, data))("second");

  expect(tensor.shape).toEqual([2, 1]);
  expect([...tensor.values()]).toEqual([2, -1]);
});

test.each([
  ["absent", "other"],
  ["of another type", "whole"],
  ["the file's own description", "__metadata__"],
])("a tensor that is %s is refused", (_what, name) => {
  const header = {
    __metadata__: { format: "pt" },
    whole: { dtype: "I64", shape: [1], data_offsets: [0, 8] },
  };
  const tensors = openSafetensors(fileOf(header, Buffer.alloc(8)));

  expect(() => tensors(name)).toThrow(RangeError);
});

test("a file that is no safetensors is refused", () => {
  expect(() => openSafetensors(Buffer.from("version https://git-lfs.github.com/spec/v1"))).toThrow();
});
