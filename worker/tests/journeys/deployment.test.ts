// Every deployment file in one table, so that none of them stops the worker before its grace is over.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { parse as parseToml } from "smol-toml";
import { describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { z } from "zod";
import { settings } from "../../config/settings.ts";

type Deployment = {
  readonly command: string;
  /** Seconds between the signal and the kill. */
  readonly killedAfter: number;
  /** What the platform sends first. The worker obeys both. */
  readonly signal: string;
  /** Absent where a platform asks for no health. */
  readonly healthPath?: string;
};

const read = (path: string): string => readFileSync(path, "utf8");

function railway(): Deployment {
  const shape = z.object({
    build: z.object({ builder: z.literal("RAILPACK") }),
    deploy: z.object({
      startCommand: z.string(),
      healthcheckPath: z.string(),
      drainingSeconds: z.int(),
    }),
  });
  const { deploy } = shape.parse(JSON.parse(read("railway.json")));
  return {
    command: deploy.startCommand,
    killedAfter: deploy.drainingSeconds,
    signal: "SIGTERM",
    healthPath: deploy.healthcheckPath,
  };
}

function fly(): Deployment {
  const shape = z.object({
    kill_signal: z.string(),
    kill_timeout: z.int(),
    env: z.object({ PORT: z.string() }),
    processes: z.object({ worker: z.string() }),
    checks: z.object({ live: z.object({ type: z.literal("http"), port: z.int(), path: z.string() }) }),
  });
  const file = shape.parse(parseToml(read("fly.toml")));
  expect(file.checks.live.port, "the port that is asked is the one that listens").toBe(Number(file.env.PORT));
  return {
    command: file.processes.worker,
    killedAfter: file.kill_timeout,
    signal: file.kill_signal,
    healthPath: file.checks.live.path,
  };
}

function render(): Deployment {
  const service = z.object({
    type: z.literal("web"),
    dockerfilePath: z.literal("./Dockerfile"),
    healthCheckPath: z.string(),
    maxShutdownDelaySeconds: z.int().min(1).max(300),
  });
  const { services } = z.object({ services: z.tuple([service]) }).parse(parseYaml(read("render.yaml")));
  return {
    command: imageCommand().join(" "),
    killedAfter: services[0].maxShutdownDelaySeconds,
    signal: "SIGTERM",
    healthPath: services[0].healthCheckPath,
  };
}

// The image says what is started and asked, the compose file how long Docker waits.
function docker(): Deployment {
  const worker = z.object({ command: z.array(z.string()), stop_grace_period: z.string().regex(/^\d+s$/) });
  const compose = z
    .object({ services: z.object({ worker }) })
    .parse(parseYaml(read("scripts/deploy/compose.yaml")));
  const image = read("Dockerfile");
  expect(compose.services.worker.command).toEqual(imageCommand());
  return {
    command: imageCommand().join(" "),
    killedAfter: Number.parseInt(compose.services.worker.stop_grace_period, 10),
    signal: /^STOPSIGNAL (\w+)$/m.exec(image)?.[1] ?? "",
    healthPath: /^HEALTHCHECK[\s\S]*?PORT}(\/\w+)`/m.exec(image)?.[1] ?? "",
  };
}

// In exec form: the shell of the other form would keep the signal to itself.
const imageCommand = (): string[] =>
  z.array(z.string()).parse(JSON.parse(/^CMD (\[.*\])$/m.exec(read("Dockerfile"))?.[1] ?? "null"));

function systemd(): Deployment {
  const unit = read("scripts/deploy/rag-worker.service");
  const entry = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1] ?? "";
  return {
    command: entry("ExecStart"),
    killedAfter: Number(entry("TimeoutStopSec")),
    signal: entry("KillSignal"),
  };
}

function pm2(): Deployment {
  const app = z.object({
    interpreter: z.string(),
    script: z.string(),
    args: z.string(),
    kill_timeout: z.int(),
  });
  const { apps } = z
    .object({ apps: z.tuple([app]) })
    .parse(createRequire(import.meta.url)("../../../scripts/deploy/ecosystem.config.cjs"));
  const [{ interpreter, script, args, kill_timeout: milliseconds }] = apps;
  return {
    command: `${interpreter} ${script} ${args}`,
    killedAfter: milliseconds / 1000,
    signal: "SIGINT",
  };
}

// Five seconds for what comes after the jobs: activity, buses, connections.
const afterGraceSeconds = 5;

function faults(deployment: Deployment): string[] {
  const wanted = settings.graceSeconds.fallback + afterGraceSeconds;
  const found: string[] = [];
  if (deployment.killedAfter !== wanted) found.push(`kills after ${deployment.killedAfter} s, not ${wanted}`);
  // Started through npm or a shell, the worker would never see the signal.
  if (!/^(\/usr\/bin\/)?node bin\/rag\.mjs worker$/.test(deployment.command)) {
    found.push(`starts "${deployment.command}"`);
  }
  if (deployment.signal !== "SIGTERM" && deployment.signal !== "SIGINT") {
    found.push(`sends ${deployment.signal}`);
  }
  // Any other path asks the database, and turns its outage into a storm of restarts.
  if (deployment.healthPath !== undefined && deployment.healthPath !== "/live") {
    found.push(`asks ${deployment.healthPath}`);
  }
  return found;
}

describe.each(Object.entries({ railway, fly, render, docker, systemd, pm2 }))("%s", (_name, platform) => {
  test("starts node itself, asks /live only, and waits five seconds longer than the worker's grace", () => {
    expect(faults(platform())).toEqual([]);
  });
});

test.each<[keyof Deployment, string | number, string]>([
  ["killedAfter", 10, "kills after 10 s, not 30"],
  ["command", "npm run worker:rag", 'starts "npm run worker:rag"'],
  ["command", "sh -c 'node bin/rag.mjs worker'", `starts "sh -c 'node bin/rag.mjs worker'"`],
  ["signal", "SIGQUIT", "sends SIGQUIT"],
  ["healthPath", "/ready", "asks /ready"],
])("a deployment with %s %j is found out", (field, value, fault) => {
  expect(faults({ ...railway(), [field]: value })).toEqual([fault]);
});

test("an image holds everything that is copied into it, and neither tests nor secrets", () => {
  const ignored = read(".dockerignore").split("\n");
  const copied = [...read("Dockerfile").matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, paths = ""]) =>
    paths.split(" "),
  );

  expect(ignored).toContain("*");
  expect(copied.filter((path) => !ignored.includes(`!${path}`))).toEqual([]);
  expect(ignored.filter((line) => line.startsWith("!") && line.includes(".env"))).toEqual([]);
  expect(ignored).toEqual(expect.arrayContaining(["worker/tests", "**/*.test.ts"]));
});

test("Docker, compose and systemd start a worker that may write nothing of its own, gain no right and leave no core", () => {
  const shape = z.object({
    services: z.object({
      worker: z.object({
        read_only: z.literal(true),
        tmpfs: z.tuple([z.literal("/tmp")]),
        cap_drop: z.tuple([z.literal("ALL")]),
        security_opt: z.tuple([z.literal("no-new-privileges:true")]),
        ulimits: z.object({ core: z.literal(0) }),
      }),
    }),
  });
  const unit = read("scripts/deploy/rag-worker.service").split("\n");

  expect(() => shape.parse(parseYaml(read("scripts/deploy/compose.yaml")))).not.toThrow();
  expect(read("Dockerfile")).toMatch(/^USER node$/m);
  expect(unit).toEqual(
    expect.arrayContaining([
      "User=rag",
      "NoNewPrivileges=yes",
      "ProtectSystem=strict",
      "PrivateTmp=yes",
      "CapabilityBoundingSet=",
      "LimitCORE=0",
    ]),
  );
});
