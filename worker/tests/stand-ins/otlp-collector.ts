// A collector that takes traces by OTLP over HTTP and keeps what it was sent, or misbehaves on purpose.
// Reads the few messages of opentelemetry/proto/trace/v1/trace.proto that a worker sends.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export type CollectedSpan = {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** 2: an error. */
  readonly status: number;
  readonly resource: Readonly<Record<string, unknown>>;
};

export type OtlpCollector = {
  readonly url: string;
  readonly spans: CollectedSpan[];
  readonly requests: { readonly path: string; readonly headers: NodeJS.Dict<string | string[]> }[];
  /** All that was sent, as it came. */
  readonly bodies: Buffer[];
  /** `hang`: takes the request and never answers. */
  mode: "take" | "refuse" | "hang";
  close(): Promise<void>;
};

export async function startOtlpCollector(): Promise<OtlpCollector> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    collector.requests.push({ path: request.url ?? "", headers: request.headers });
    if (collector.mode === "hang") return;
    if (collector.mode === "refuse") {
      response.writeHead(500).end("no");
      return;
    }
    collector.bodies.push(body);
    collector.spans.push(...spansOf(body));
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // SAFETY: it listens on a port.
  const collector: OtlpCollector = {
    url: `http://127.0.0.1:${port}`,
    spans: [],
    requests: [],
    bodies: [],
    mode: "take",
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return collector;
}

function spansOf(body: Buffer): CollectedSpan[] {
  return each(body, 1).flatMap((ofResource) => {
    const resource = attributesOf(each(ofResource, 1)[0] ?? Buffer.alloc(0), 1);
    return each(ofResource, 2).flatMap((ofScope) => each(ofScope, 2).map((span) => spanOf(span, resource)));
  });
}

function spanOf(span: Buffer, resource: CollectedSpan["resource"]): CollectedSpan {
  const status = each(span, 15)[0];
  return {
    traceId: each(span, 1)[0]?.toString("hex") ?? "",
    spanId: each(span, 2)[0]?.toString("hex") ?? "",
    parentSpanId: each(span, 4)[0]?.toString("hex") ?? "",
    name: each(span, 5)[0]?.toString() ?? "",
    kind: Number(numberOf(span, 6)),
    startMs: Number(numberOf(span, 7) / 1000n) / 1000,
    endMs: Number(numberOf(span, 8) / 1000n) / 1000,
    attributes: attributesOf(span, 9),
    status: status === undefined ? 0 : Number(numberOf(status, 3)),
    resource,
  };
}

const attributesOf = (message: Buffer, field: number): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    each(message, field).map((pair) => [
      each(pair, 1)[0]?.toString() ?? "",
      anyValue(each(pair, 2)[0] ?? Buffer.alloc(0)),
    ]),
  );

function anyValue(any: Buffer): unknown {
  for (const { field, bytes, number } of fieldsOf(any)) {
    if (field === 1) return bytes.toString();
    if (field === 2) return number !== 0n;
    if (field === 3) return Number(number);
    if (field === 4) {
      const bits = Buffer.alloc(8);
      bits.writeBigUInt64LE(number);
      return bits.readDoubleLE();
    }
  }
  return null;
}

const each = (message: Buffer, field: number): Buffer[] =>
  [...fieldsOf(message)].filter((one) => one.field === field).map(({ bytes }) => bytes);

const numberOf = (message: Buffer, field: number): bigint =>
  [...fieldsOf(message)].find((one) => one.field === field)?.number ?? 0n;

/** The wire format (protobuf.dev/programming-guides/encoding): numbers, eight bytes, four bytes, or a length and bytes. */
function* fieldsOf(message: Buffer): Iterable<{ field: number; bytes: Buffer; number: bigint }> {
  let at = 0;
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const none = Buffer.alloc(0);
  while (at < message.length) {
    const tag = Number(number());
    const field = tag >>> 3;
    const type = tag & 7;
    if (type === 0) yield { field, bytes: none, number: number() };
    else if (type === 1) {
      yield { field, bytes: none, number: message.readBigUInt64LE(at) };
      at += 8;
    } else if (type === 5) {
      yield { field, bytes: none, number: BigInt(message.readUInt32LE(at)) };
      at += 4;
    } else {
      const length = Number(number());
      yield { field, bytes: message.subarray(at, at + length), number: 0n };
      at += length;
    }
  }
}
