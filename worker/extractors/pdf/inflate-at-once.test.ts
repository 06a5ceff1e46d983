import { deflateRawSync, deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { InflateAtOnce } from "./inflate-at-once.ts";

/** Reads as pdf.js does (decode_stream.js, asyncGetBytesFromDecompressionStream). */
async function inflate(format: string, bytes: Uint8Array): Promise<string> {
  const { readable, writable } = new InflateAtOnce(format);
  const writer = writable.getWriter();
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  const reader = readable.getReader();
  const chunks: Uint8Array[] = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return Buffer.concat(chunks).toString("latin1");
    if (value !== undefined) chunks.push(value);
  }
}

const TEXT = "BT /F1 12 Tf (Hello) Tj ET ".repeat(5_000);

test.each([
  ["deflate", deflateSync(TEXT)],
  ["deflate-raw", deflateRawSync(TEXT)],
])("%s gives back what was deflated", async (format, bytes) => {
  expect(await inflate(format, bytes)).toBe(TEXT);
});

test("a line end behind the data, as most writers of PDF leave it, is no damage", async () => {
  expect(await inflate("deflate", Buffer.concat([deflateSync(TEXT), Buffer.from("\r\n")]))).toBe(TEXT);
});

test("data that is cut off is refused, so that pdf.js saves what it can", async () => {
  const bytes = deflateSync(TEXT);

  await expect(inflate("deflate", bytes.subarray(0, bytes.length / 2))).rejects.toThrow("unexpected end");
});

test("more than a stream may give is refused", async () => {
  const bomb = deflateSync(Buffer.alloc((256 << 20) + 1));

  await expect(inflate("deflate", bomb)).rejects.toThrow(/larger than/);
});

test("an unknown format is refused as the platform refuses it", () => {
  expect(() => new InflateAtOnce("zip")).toThrow(TypeError);
});
