// Takes the network, other programs and further threads away from this process. Imported before any parser is, by the extraction child only.
// Node 24's permission model does not cover the network (Node 25's does), so the modules themselves are closed.
import childProcess from "node:child_process";
import cluster from "node:cluster";
import dgram from "node:dgram";
import dns from "node:dns";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import tls from "node:tls";
import workerThreads from "node:worker_threads";

function refuse(): never {
  throw new Error("An extraction process has no network.");
}

/** Replaces functions in place, so that whoever holds the module meets the refusal. */
function close(target: object, names: readonly string[]): void {
  for (const name of names)
    if (name in target)
      Object.defineProperty(target, name, { value: refuse, writable: false, configurable: false });
}

const functionsOf = (target: object): string[] =>
  Object.entries(target)
    .filter(([, value]) => typeof value === "function")
    .map(([name]) => name);

/** Call after the watching thread has started: a fresh thread would have fresh, open modules. */
export function closeThreads(): void {
  close(workerThreads, ["Worker"]);
  syncBuiltinESMExports();
}

/** Call once, first. */
export function unplugNetwork(): void {
  close(net.Socket.prototype, ["connect"]);
  close(net.Server.prototype, ["listen"]);
  close(net, ["connect", "createConnection", "createServer"]);
  close(tls, ["connect", "createServer"]);
  close(dgram.Socket.prototype, ["bind", "connect", "send"]);
  close(dgram, ["createSocket"]);
  close(dns.promises.Resolver.prototype, functionsOf(dns.promises));
  close(dns.Resolver.prototype, functionsOf(dns));
  close(dns.promises, functionsOf(dns.promises));
  close(dns, functionsOf(dns));
  for (const module of [http, https]) close(module, ["request", "get", "createServer"]);
  close(http2, ["connect", "createServer", "createSecureServer"]);
  close(childProcess, functionsOf(childProcess));
  close(cluster, ["fork"]);
  close(globalThis, ["fetch", "WebSocket", "EventSource"]);
  // The way around all modules.
  Object.defineProperty(process, "binding", { value: refuse, writable: false, configurable: false });
  syncBuiltinESMExports();
}
