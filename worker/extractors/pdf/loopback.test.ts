import { expect, test } from "vitest";
import { openLoopback } from "./loopback.ts";

function listenTo(port: ReturnType<typeof openLoopback>[number]): unknown[] {
  const heard: unknown[] = [];
  port.addEventListener("message", ({ data }) => heard.push(data));
  return heard;
}

test("messages are heard at the other end only, later and in order", async () => {
  const [here, there] = openLoopback();
  const [atHere, atThere] = [listenTo(here), listenTo(there)];

  here.postMessage({ step: 1 });
  here.postMessage({ step: 2 });
  const before = atThere.length;
  await Promise.resolve();

  expect(before).toBe(0);
  expect(atThere).toEqual([{ step: 1 }, { step: 2 }]);
  expect(atHere).toEqual([]);
});

test("a list that its sender empties after sending arrives full", async () => {
  const [here, there] = openLoopback();
  const heard = listenTo(there);
  const chunk = { items: [{ str: "a" }], styles: { f1: {} } as Record<string, unknown> };

  here.postMessage({ stream: 1, chunk });
  chunk.items.length = 0;
  delete chunk.styles.f1;
  chunk.items = [];
  await Promise.resolve();

  expect(heard).toEqual([{ stream: 1, chunk: { items: [{ str: "a" }], styles: { f1: {} } } }]);
});

test("bytes are handed over and not copied", async () => {
  const [here, there] = openLoopback();
  const heard = listenTo(there);
  const bytes = new Uint8Array(3);

  here.postMessage({ data: { bytes } });
  await Promise.resolve();

  expect((heard[0] as { data: { bytes: Uint8Array } }).data.bytes).toBe(bytes);
});

test("a listener whose signal was aborted, or that was removed, hears no more", async () => {
  const [here, there] = openLoopback();
  const heard: unknown[] = [];
  const gone = new AbortController();
  const listener = ({ data }: { readonly data: unknown }): void => void heard.push(data);
  there.addEventListener("message", listener, { signal: gone.signal });
  gone.abort();
  here.postMessage(1);
  there.addEventListener("message", listener);
  there.removeEventListener("message", listener);
  here.postMessage(2);
  await Promise.resolve();

  expect(heard).toEqual([]);
});
