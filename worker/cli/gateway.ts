// rag gateway: serves users' WebSockets in a process of its own, fed by Redis. It touches no database and does no job.
import { once } from "node:events";
import { createServer } from "node:http";
import { openActivity } from "../activity/activity.ts";
import { json, refusal } from "../document/http-answer.ts";
import { openLog } from "../log/log.ts";
import { logActivity } from "../log/log-activity.ts";
import { secretsOf } from "../log/redact.ts";
import { openConfiguredGateway } from "../realtime/open-gateway.ts";
import { bind } from "../status/bind.ts";
import { countConnections } from "../status/count-connections.ts";
import { type CommandContext, type DefineCommand, exitCodes } from "./command.ts";
import { configOf, warnOfUnknownSettings } from "./open.ts";
import { untilStopped } from "./stop-signals.ts";

export const defineGateway: DefineCommand = (command, context) => {
  command
    .addHelpText(
      "after",
      "\nNeeds REDIS_URL, on which workers publish, and SUPABASE_JWT_SECRET or SUPABASE_URL to know its users." +
        "\nListens as the worker's own server does: PORT, RAG_HTTP_HOST. Ends with 0 after SIGTERM or SIGINT.",
    )
    .action((options: { readonly json?: boolean }) => serve(options.json === true, context));
};

const REQUEST_TIMEOUT_MS = 10_000;

async function serve(isJson: boolean, context: CommandContext): Promise<void> {
  const config = configOf();
  const log = openLog({
    level: config.logLevel,
    terminal: !isJson && context.terminal.stdout.isTTY === true,
    secrets: secretsOf(config),
    destination: isJson ? "stderr" : "stdout",
  });
  warnOfUnknownSettings(log);
  const activity = openActivity();
  const silence = logActivity(activity, log);
  const gateway = openConfiguredGateway(config, activity, null);
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: 1_000,
  });
  server.timeout = REQUEST_TIMEOUT_MS;
  countConnections(server, true);
  server.on("upgrade", gateway.upgrade);
  server.on("error", (err) => log.warn({ err }, "gateway server error"));
  server.on("request", (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0];
    const figures = gateway.figures();
    const answer =
      path === "/live"
        ? json(200, { status: "live" })
        : path === "/ready"
          ? json(figures.feed_state === "live" ? 200 : 503, figures)
          : refusal(404, "http.not-found", "There is: /ws, /live, /ready.");
    response.writeHead(answer.status, { "content-type": answer.type, "cache-control": "no-store" });
    response.end(answer.body);
  });
  try {
    await untilStopped(
      async (signal) => {
        const { url } = await bind(server, config.port, config.httpHost);
        log.info({ url }, "gateway ready");
        if (!signal.aborted) await once(signal, "abort");
      },
      () => {},
    );
  } finally {
    server.close();
    await gateway.close();
    server.closeAllConnections();
    silence();
  }
  if (isJson) context.terminal.record({ ...gateway.figures() });
  context.end(exitCodes.done);
}
