import { Writable } from "node:stream";
import { WriteStream } from "node:tty";
import { describe, expect, test } from "vitest";
import { readConfig } from "../config/config.ts";
import { settings } from "../config/settings.ts";
import { Failure } from "../failure/failure.ts";
import { type LogOptions, openLog, terminalLine } from "./log.ts";
import { secretsOf } from "./redact.ts";

const CANARY = "canary-3f9a/+b2";

function openWorld(options: Partial<LogOptions> & { tty?: Record<string, string> } = {}) {
  const { tty, ...rest } = options;
  let text = "";
  const destination = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done();
    },
  });
  if (tty !== undefined) {
    Object.assign(destination, {
      isTTY: true,
      hasColors: () =>
        WriteStream.prototype.hasColors.call(destination, 16, { TERM: "xterm-256color", ...tty }),
      getColorDepth: WriteStream.prototype.getColorDepth,
    });
  }
  const log = openLog({ level: "trace", terminal: false, secrets: [CANARY], destination, ...rest });
  const lines = () =>
    text
      .trim()
      .split("\n")
      .map((line): Record<string, unknown> => JSON.parse(line));
  return { log, text: () => text, lines };
}

describe("JSON lines", () => {
  test("a line carries its level by name, the time, the facts and the sentence", () => {
    const { log, lines } = openWorld();

    log.warn({ jobId: "6f2c", chunks: 3, big: 12n, at: new Date(0) }, "job retried");

    expect(lines()).toEqual([
      {
        level: "warn",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        jobId: "6f2c",
        chunks: 3,
        big: "12",
        at: "1970-01-01T00:00:00.000Z",
        msg: "job retried",
      },
    ]);
  });

  test("what lies below the level is not written", () => {
    const { log, text } = openWorld({ level: "warn" });

    log.info({ jobId: "6f2c" }, "job complete");

    expect(text()).toBe("");
  });

  test("a child's facts are on each of its lines", () => {
    const { log, lines } = openWorld();

    log.child({ workerId: "w1" }).child({ jobId: "6f2c" }).info("job complete");

    expect(lines()[0]).toMatchObject({ workerId: "w1", jobId: "6f2c", msg: "job complete" });
  });

  test("a line break in a fact makes no second line", () => {
    const { log, lines } = openWorld();

    log.info({ name: 'a\n{"level":"error","msg":"forged"}' }, "file seen");

    expect(lines()).toHaveLength(1);
  });

  test("the line for the terminal is never in JSON", () => {
    const { log, text } = openWorld();

    log.info({ jobId: "6f2c", [terminalLine]: 'job 6f2c…  "Secret merger"' }, "job claimed");

    expect(text()).not.toContain("merger");
  });
});

describe("redaction", () => {
  test.each([
    ["in the sentence", (log: ReturnType<typeof openLog>) => log.error(`refused ${CANARY}`)],
    ["in a fact", (log: ReturnType<typeof openLog>) => log.error({ fact: `key=${CANARY}!` }, "x")],
    ["deep in a fact", (log: ReturnType<typeof openLog>) => log.error({ a: [{ b: CANARY }] }, "x")],
    ["as a fact's name", (log: ReturnType<typeof openLog>) => log.error({ [CANARY]: 1 }, "x")],
    ["in a child", (log: ReturnType<typeof openLog>) => log.child({ fact: CANARY }).error("x")],
    [
      "in an address",
      (log: ReturnType<typeof openLog>) => log.error({ url: new URL(`http://h/${CANARY}`) }, "x"),
    ],
    [
      "inside JSON",
      (log: ReturnType<typeof openLog>) => log.error({ a: JSON.stringify({ k: CANARY }) }, "x"),
    ],
    [
      "percent-encoded",
      (log: ReturnType<typeof openLog>) => log.error({ a: encodeURIComponent(CANARY) }, "x"),
    ],
    [
      "in Basic authorization",
      (log: ReturnType<typeof openLog>) => log.error({ a: Buffer.from(CANARY).toString("base64") }, "x"),
    ],
    [
      "in a failure's own sentence",
      (log: ReturnType<typeof openLog>) =>
        log.error({ err: new Failure("embed.denied", { says: CANARY }) }, "x"),
    ],
    [
      "in a failure's facts",
      (log: ReturnType<typeof openLog>) =>
        log.error({ err: new Failure("embed.denied", { facts: { key: CANARY } }) }, "x"),
    ],
    [
      "in a cause's message, code and stack",
      (log: ReturnType<typeof openLog>) => {
        const cause = Object.assign(new Error(CANARY), { syscall: CANARY, errno: 1, code: "EX" });
        cause.stack = `Error: ${CANARY}\n    at connect (http://h/${CANARY}.js:1:1)`;
        log.error({ err: new Failure("embed.denied", { cause }) }, "x");
      },
    ],
    ["in a bare error", (log: ReturnType<typeof openLog>) => log.error(new Error(CANARY), "x")],
  ])("a secret is not written %s", (_where, write) => {
    for (const terminal of [false, true]) {
      const { log, text } = openWorld({ terminal });

      write(log);

      expect(text()).not.toBe("");
      expect(text()).not.toContain("canary");
      expect(text()).not.toContain(encodeURIComponent(CANARY));
      expect(text()).not.toContain(Buffer.from(CANARY).toString("base64").slice(0, 16));
    }
  });

  test("every secret of the settings table is hidden by its value", () => {
    const environment = Object.fromEntries(
      Object.values(settings)
        .filter((setting) => setting.secret)
        .map(({ names: [name], accepts }) => {
          const [, scheme] = / starts with (\w+):/.exec(accepts) ?? [];
          return [name, scheme ? `${scheme}://user:canary-${name}@host/v1` : `canary-${name}`];
        }),
    );
    expect(Object.keys(environment).length).toBeGreaterThan(5);
    const { log, text } = openWorld({ secrets: secretsOf(readConfig(environment)) });

    for (const [name, value] of Object.entries(environment)) {
      log.error({ whole: value, part: `password "canary-${name}" refused` }, `tried ${value}`);
    }

    expect(text()).not.toContain("canary");
    expect(text()).toContain("[secret]");
  });

  test("a field that is named like a key or a text is withheld, a number of the same name is not", () => {
    const { log, lines } = openWorld({ secrets: [] });

    log.info({ authorization: "Bearer x", content: "Dear Sir", texts: 16, embedding: [0.1] }, "x");

    expect(lines()[0]).toMatchObject({
      authorization: "[secret]",
      content: "[withheld]",
      texts: 16,
      embedding: "[withheld]",
    });
  });
});

describe("a log line never fails its caller", () => {
  test("a getter that throws costs the facts, not the sentence", () => {
    const { log, lines } = openWorld();

    log.info(
      {
        get broken(): never {
          throw new TypeError("no");
        },
      },
      "job complete",
    );

    expect(lines()[0]).toMatchObject({ msg: "job complete", unloggable: "TypeError" });
  });

  test.each([
    false,
    true,
  ])("a fact named like a part of the line takes no place of it (terminal: %s)", (terminal) => {
    const { log, text } = openWorld({ terminal });

    log.info({ time: 5, level: 60, msg: "forged", line: "forged too" }, "job complete");

    expect(text()).toContain("job complete");
    expect(text()).toContain(terminal ? "fact_line=forged too" : '"fact_msg":"forged"');
  });

  test("a circle, a huge list and a huge text are cut", () => {
    const { log, text, lines } = openWorld();
    const circle: Record<string, unknown> = {};
    circle.self = circle;

    log.info({ circle, list: Array.from({ length: 10_000 }, () => 1), long: "x".repeat(1e6) }, "x");

    expect(lines()).toHaveLength(1);
    expect(text().length).toBeLessThan(6_000);
  });
});

describe("on a terminal", () => {
  test("a line is a sentence and facts, without colours where there is no TTY", () => {
    const { log, text } = openWorld({ terminal: true });

    log.info({ held: 2 }, "leases kept");
    log.warn({ code: "embed.unavailable" }, "embedding request failed");

    expect(text()).toBe("leases kept   held=2\nwarn  embedding request failed   code=embed.unavailable\n");
  });

  test("a TTY gets colours, and NO_COLOR takes them away", () => {
    const coloured = openWorld({ terminal: true, tty: {} });
    const plain = openWorld({ terminal: true, tty: { NO_COLOR: "1" } });

    coloured.log.error("database lost");
    plain.log.error("database lost");

    expect(coloured.text()).toContain("\u001b[31m");
    expect(plain.text()).not.toContain("\u001b");
  });

  test("a title cannot move the cursor, break the line or turn the text around", () => {
    const { log, text } = openWorld({ terminal: true });

    log.info({ [terminalLine]: 'job 6f2c…  "a\u001b[2Jb\r\nc\u202ed\u009be"' }, "job claimed");

    expect(text()).toBe('job 6f2c…  "a [2Jb c d e"\n');
  });

  test("an unexpected error shows where it was thrown, an expected one says its code and sentence", () => {
    const { log, text } = openWorld({ terminal: true });

    log.error({ err: new RangeError("the document's text") }, "worker failed");
    log.error({ err: new Failure("embed.denied") }, "worker failed");

    expect(text()).toContain("worker failed   RangeError\n    at ");
    expect(text()).toMatch(/embed\.denied: The embedding provider refused the worker's key\.[^\n]*\n$/);
    expect(text()).not.toContain("document's text");
  });
});
