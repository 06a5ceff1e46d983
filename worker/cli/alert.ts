// rag alert test: a message to every place that alerts go to, to see it arrive.
import { Argument } from "commander";
import { LONGEST_SECONDS, NotTaken, openChannels } from "../status/alerts/channels.ts";
import { linkOf } from "../status/alerts/watch-alerts.ts";
import { openBoard } from "./board.ts";
import { type DefineCommand, exitCodes } from "./command.ts";
import { configOf } from "./open.ts";
import { usage } from "./usage.ts";

export const defineAlert: DefineCommand = (command, { terminal, end }) => {
  command
    .addArgument(new Argument("<what>", "test: send a message to each place that is set").choices(["test"]))
    .action(async (_what: string, options: { readonly json?: boolean }) => {
      const config = configOf();
      const channels = openChannels(config);
      if (channels.length === 0)
        throw usage(
          "No place for alerts is set: set RAG_ALERT_SLACK_URL, RAG_ALERT_DISCORD_URL or RAG_ALERT_WEBHOOK_URL.",
        );
      const says = "Alerts of the RAG worker arrive here.";
      const message = {
        notices: [{ name: "test", state: "test" as const, says }],
        link: linkOf(config.publicUrl),
      };
      const board = options.json || terminal.stderr.isTTY !== true ? null : openBoard(terminal.stderr);
      let failed = false;
      for (const { name, send } of channels) {
        board?.show([`sending to ${name}, which takes up to ${LONGEST_SECONDS} s where it does not answer`]);
        const refused = await send(message)
          .then(
            () => null,
            (thrown: unknown) => {
              if (thrown instanceof NotTaken) return thrown;
              throw thrown;
            },
          )
          .finally(() => board?.wipe());
        failed ||= refused !== null;
        const reason = refused?.message ?? null;
        if (options.json) terminal.record({ channel: name, sent: refused === null, reason });
        else if (refused === null) terminal.say(`${name}: sent.`);
        else terminal.error(`${name} ${refused.message}. ${refused.advice}`);
      }
      end(failed ? exitCodes.someFailed : exitCodes.done);
    });
};
