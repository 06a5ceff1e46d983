// What this machine and its settings are: checks that ask no server.
import { constants } from "node:fs";
import { access, readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { totalmem } from "node:os";
import { resolve } from "node:path";
import type { Config, Environment } from "../../config/config.ts";
import { type Settings, settings } from "../../config/settings.ts";
import { unknownSettings } from "../../config/unknown-settings.ts";
import { memoryBytes } from "../../derived-options.ts";
import { withoutCredentials } from "../../log/redact.ts";
import { count } from "../words.ts";
import { type Finding, green, red, yellow } from "./finding.ts";

// Model, extraction process and the embedded database each want their share.
const COMFORTABLE_MB = 1024;
const DEFAULT_PORT = 8080;

export async function checkMachine(config: Config, environment: Environment): Promise<readonly Finding[]> {
  return [
    green("node", `${process.version} on ${process.platform}`),
    checkMemory(config),
    ...checkCoreDumps(await readFile("/proc/self/limits", "utf8").catch(() => "")),
    ...checkSettings(config, environment),
    await checkDocumentRoot(config),
    await checkPort(config),
  ];
}

function checkMemory(config: Config): Finding {
  const limit = Math.round(memoryBytes(config) / 1024 / 1024);
  const machine = Math.round(totalmem() / 1024 / 1024);
  const says = `claims stop above ${count(limit)} MB (machine ${count(machine)} MB)`;
  if (limit >= COMFORTABLE_MB) return green("memory", says);
  return yellow(
    "memory",
    says,
    `Below ${COMFORTABLE_MB} MB large PDFs may not fit. Give the container more, or set RAG_JOB_CONCURRENCY=1.`,
  );
}

/** `limits`: the kernel's table of this process; empty where there is none. */
export function checkCoreDumps(limits: string): Finding[] {
  const allowed = /^Max core file size\s+(\S+)/m.exec(limits)?.[1];
  if (allowed === undefined) return [];
  if (allowed === "0") return [green("core dumps", "off")];
  return [
    yellow(
      "core dumps",
      "a crash may leave the process's memory on disk, with keys and documents in it",
      "Start the worker with a limit of 0: ulimit -c 0, docker run --ulimit core=0, LimitCORE=0.",
    ),
  ];
}

/** Every setting that is set; a secret shows only that it is there and how long it is. */
function checkSettings(config: Config, environment: Environment): Finding[] {
  const set = (Object.keys(settings) as (keyof Settings)[]).flatMap((key) => {
    const setting = settings[key];
    const name = setting.names.find((candidate) => (environment[candidate] ?? "").trim() !== "");
    if (name === undefined) return [];
    return `${name}=${shown(config[key], setting.secret)}`;
  });
  const findings = [green("settings", set.length === 0 ? "none set: all defaults" : set.join("  "))];
  for (const { name, nearest } of unknownSettings(environment))
    findings.push(
      yellow(
        "settings",
        `${name} is set and is no setting`,
        nearest === null ? "Nothing reads it: remove it." : `Was ${nearest} meant? Nothing reads ${name}.`,
      ),
    );
  if ((environment.QDRANT_URL ?? "") !== "")
    findings.push(
      yellow(
        "settings",
        "QDRANT_URL is set",
        "It is not used: vectors live in pgvector, one collection per entity type. Remove it to end the doubt.",
      ),
    );
  return findings;
}

function shown(value: unknown, secret: boolean): string {
  if (!secret) return String(value);
  const text = String(value);
  return URL.canParse(text) && text.includes("://")
    ? withoutCredentials(text)
    : `(${text.length} characters)`;
}

async function checkDocumentRoot(config: Config): Promise<Finding> {
  const { documentRoot } = config;
  if (documentRoot === null) return green("document root", "not set: files travel with their bytes");
  const path = resolve(documentRoot);
  const met = await stat(path).catch(() => null);
  if (!met?.isDirectory())
    return red("document root", `${path} is no folder`, "Correct RAG_DOCUMENT_ROOT, or mount the volume.");
  const readable = await access(path, constants.R_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  return readable
    ? green("document root", path)
    : red(
        "document root",
        `${path} may not be read`,
        "Correct the folder's owner or mode for the worker's user.",
      );
}

async function checkPort(config: Config): Promise<Finding> {
  const port = config.port ?? DEFAULT_PORT;
  const host = config.httpHost ?? (config.port === null ? "127.0.0.1" : "::");
  const free = await new Promise<boolean>((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => done(true)));
  });
  if (free) return green("port", `${port} is free on ${host}`);
  if (config.port === null)
    return green("port", `${port} is taken (perhaps by a worker): the next free one will be used`);
  return yellow("port", `${port} is taken`, "A worker may be running already; else set PORT to a free port.");
}
