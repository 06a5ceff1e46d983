// Runs as an extraction child does, through its real entry, and then tries what a captured parser would try.
// Reports each attempt as `name: refused` or `name: succeeded`.
await import("../isolation/extraction-child.ts");

const [, , , , port = "0", outside = ""] = process.argv;

const attempts: Readonly<Record<string, () => unknown>> = {
  fetch: () => fetch(`http://127.0.0.1:${port}/`),
  "http.get": async () => (await import("node:http")).get(`http://127.0.0.1:${port}/`),
  "https.request": async () => (await import("node:https")).request(`https://127.0.0.1:${port}/`),
  "http2.connect": async () => (await import("node:http2")).connect(`http://127.0.0.1:${port}/`),
  "net.connect": async () => (await import("node:net")).connect(Number(port), "127.0.0.1"),
  "net.Socket": async () => new (await import("node:net")).Socket().connect(Number(port), "127.0.0.1"),
  "net.Server": async () => new (await import("node:net")).Server().listen(0),
  "tls.connect": async () => (await import("node:tls")).connect(Number(port), "127.0.0.1"),
  dgram: async () => (await import("node:dgram")).createSocket("udp4"),
  "dns.lookup": async () => (await import("node:dns")).lookup("localhost", () => undefined),
  "dns.promises": async () => (await import("node:dns")).promises.lookup("localhost"),
  "dns.Resolver": async () =>
    new (await import("node:dns")).Resolver().resolve4("localhost", () => undefined),
  builtin: () => process.getBuiltinModule("node:net").connect(Number(port), "127.0.0.1"),
  WebSocket: () => new WebSocket(`ws://127.0.0.1:${port}/`),
  binding: () => (process as unknown as { binding(name: string): unknown }).binding("tcp_wrap"),
  Worker: async () => new (await import("node:worker_threads")).Worker("1", { eval: true }),
  spawn: async () => (await import("node:child_process")).spawnSync("true"),
  "read outside": async () => (await import("node:fs")).readFileSync(outside),
  "write anywhere": async () => (await import("node:fs")).writeFileSync(`${outside}.new`, "x"),
  eval: () => new Function("return 1")(),
};

const results: string[] = [];
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    results.push(`${name}: succeeded`);
  } catch {
    results.push(`${name}: refused`);
  }
}
process.send?.({ results, environment: Object.keys(process.env) });
