// rag model: which model the stored vectors are of, and changing it while the old one serves.
import { Argument } from "commander";
import { z } from "zod";
import type { Parts } from "../assemble.ts";
import { identityOf } from "../embedders/embedder.ts";
import {
  type CommandContext,
  type DefineCommand,
  durationSeconds,
  exitCodes,
  wholeNumber,
} from "./command.ts";
import { confirm } from "./confirm.ts";
import { configOf, withParts } from "./open.ts";
import { type Terminal, table } from "./terminal.ts";
import { usage } from "./usage.ts";
import { wakeWorkers } from "./wake-workers.ts";
import { ago, count, counted } from "./words.ts";

type Options = {
  readonly to?: string;
  readonly dimensions?: number;
  readonly grace: number;
  readonly json?: boolean;
  readonly yes?: boolean;
};

const DAY_SECONDS = 86_400;
const CANARY_LIMIT_MS = 60_000;
const NO_SWITCH = "No switch is under way.";

const described = z.object({
  models: z.array(
    z.object({
      name: z.string(),
      model: z.string(),
      dimensions: z.number(),
      quantisation: z.string(),
      state: z.enum(["next", "live", "retired"]),
      serves_until: z.coerce.date().nullable(),
    }),
  ),
  switch: z
    .object({
      to: z.string(),
      asked_at: z.coerce.date(),
      documents: z.number(),
      done: z.number(),
      queued: z.number(),
      processing: z.number(),
      failed: z.number(),
      walking: z.boolean(),
      closing: z.boolean(),
      paused: z.boolean(),
      workers: z.number(),
    })
    .nullable(),
});
type Models = z.infer<typeof described>;
type Switch = NonNullable<Models["switch"]>;

export const defineModel: DefineCommand = (command, context) => {
  command
    .addArgument(
      new Argument("[action]", "what to do").choices(["show", "switch", "cancel", "finish"]).default("show"),
    )
    .option("--to <model>", "switch: the new model (default: what is configured here)")
    .option("--dimensions <n>", "switch: its dimensions (default: the model's own)", wholeNumber(1, 16_000))
    .option(
      "--grace <time>",
      "switch: how long searches by the old model go on after it, such as 2h",
      durationSeconds,
      DAY_SECONDS,
    )
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      "\nswitch   embeds every document again in the background, by workers configured for the new model, and then" +
        "\n         switches; searches by the old model work until then and for the grace time after it" +
        "\ncancel   keeps the live model; what was embedded for the switch is collected" +
        "\nfinish   switches although some documents could not be embedded again" +
        "\n\nrag pause --kind reembed holds a switch, rag resume --kind reembed lets it go on, and switching back to the" +
        "\nold model within the grace time embeds only what has changed since.",
    )
    .action((action: keyof typeof actions, options: Options) => actions[action](options, context));
};

const actions = { show, switch: switchTo, cancel, finish };

async function show(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async (parts) => {
    const models = await describe(parts);
    if (options.json) return terminal.record(models);
    if (models.models.length === 0) return terminal.say("No model yet: the first document decides.");
    for (const line of table(models.models.map(rowOf))) terminal.say(line);
    if (models.switch !== null) tellOfSwitch(models.switch, terminal);
  });
  context.end(exitCodes.done);
}

async function switchTo(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  if (options.to === undefined && options.dimensions !== undefined)
    throw usage("--dimensions belongs to --to MODEL.");
  const config = configOf(
    options.to === undefined
      ? {}
      : { embeddingModel: options.to, embeddingDimensions: options.dimensions ?? null },
  );
  const work = async (parts: Parts) => {
    const embedder = await parts.embedder();
    // Whoever cannot embed a word with it had better not ask for a switch to it.
    await embedder.embed(["canary"], AbortSignal.timeout(CANARY_LIMIT_MS));
    const own = identityOf(embedder);
    const { models } = await describe(parts);
    const live = models.find(({ state }) => state === "live");
    const asked = models.find(({ state }) => state === "next");
    if (live !== undefined && identityOf(live) !== own && asked === undefined) {
      const question = `Embed everything again with ${own}, and then switch to it from ${identityOf(live)}?`;
      if (!(await confirm(question, options.yes === true, terminal))) return;
    }
    const answer = answerOf.parse(
      await parts.database.call("rag_begin_switch", {
        p_model: embedder.model,
        p_dimensions: embedder.dimensions,
        p_quantisation: embedder.quantisation ?? "none",
        p_grace_seconds: options.grace,
      }),
    );
    const isAsked = answer.state === "begun" || answer.state === "under_way";
    const isGood = isAsked || answer.state === "already_live";
    if (options.json) terminal.record(answer);
    else if (isGood) terminal.say(inWords(answer, own));
    else terminal.error(inWords(answer, own));
    if (isAsked) await wakeWorkers(parts);
    context.end(isGood ? exitCodes.done : exitCodes.someFailed);
  };
  await withParts(context, work, config);
}

const answerOf = z.object({
  state: z.enum(["begun", "under_way", "already_live", "another", "settling", "nothing_stored"]),
  model: z.string().optional(),
  documents: z.number().optional(),
});

function inWords({ state, model, documents }: z.infer<typeof answerOf>, own: string): string {
  switch (state) {
    case "begun":
      return (
        `${counted(documents ?? 0, "document")} to embed again with ${own}. Workers that are configured for it do so;` +
        " leave some with the old model running, for new documents are theirs until the switch. rag model shows how far it is."
      );
    case "under_way":
      return `The switch to ${own} is under way: rag model shows how far it is.`;
    case "already_live":
      return `${own} is the live model already.`;
    case "another":
      return `A switch to ${model} is under way. End it first: rag model cancel.`;
    case "settling":
      return "The last switch is still being completed: try again in a moment.";
    case "nothing_stored":
      return "Nothing is stored yet: the first document decides, without a switch.";
  }
}

async function cancel(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async (parts) => {
    const { switch: underWay } = await describe(parts);
    if (underWay !== null) {
      const question = `Cancel the switch to ${underWay.to} (${count(underWay.done)} of ${counted(underWay.documents, "document")} done)?`;
      if (!(await confirm(question, options.yes === true, terminal))) return;
    }
    const answer = await parts.database.call("rag_cancel_switch", {});
    const { cancelled } = z.object({ cancelled: z.string().nullable() }).parse(answer);
    if (options.json) terminal.record({ cancelled });
    else if (cancelled === null) terminal.error(NO_SWITCH);
    else terminal.say(`The switch to ${cancelled} is cancelled.`);
    context.end(cancelled === null ? exitCodes.someFailed : exitCodes.done);
  });
}

async function finish(options: Options, context: CommandContext): Promise<void> {
  const { terminal } = context;
  await withParts(context, async (parts) => {
    const { switch: underWay } = await describe(parts);
    const left = underWay === null ? 0 : underWay.documents - underWay.done;
    if (left > 0) {
      const question = `Switch now? ${counted(left, "document")} will not be found by meaning until embedded again.`;
      if (!(await confirm(question, options.yes === true, terminal))) return;
    }
    const finished = z.object({
      state: z.enum(["switched", "waiting", "none"]),
      documents: z.number().optional(),
    });
    const answer = finished.parse(await parts.database.call("rag_finish_switch", { p_force: true }));
    if (options.json) terminal.record(answer);
    else if (answer.state === "none") terminal.error(NO_SWITCH);
    else terminal.say(`Switched to ${underWay?.to ?? "it"}.`);
    if (answer.state === "switched") await wakeWorkers(parts);
    context.end(answer.state === "switched" ? exitCodes.done : exitCodes.someFailed);
  });
}

const describe = async ({ database }: Parts): Promise<Models> =>
  described.parse(await database.call("rag_describe_models", {}));

const states = { live: "Live", next: "Next", retired: "Former" } as const;

const rowOf = (model: Models["models"][number]): string[] => [
  states[model.state],
  `${model.model}, ${model.dimensions} dimensions${model.quantisation === "none" ? "" : `, ${model.quantisation}`}`,
  model.serves_until === null
    ? ""
    : `searches by it work for another ${ago((model.serves_until.getTime() - Date.now()) / 1000)}`,
];

function tellOfSwitch(underWay: Switch, { say, note }: Terminal): void {
  const { documents, done, queued, processing, failed } = underWay;
  const share = documents === 0 ? 100 : Math.floor((100 * done) / documents);
  const parts = [
    `${share} %: ${count(done)} of ${counted(documents, "document")} embedded again`,
    `${count(processing)} at work`,
    `${count(queued)} waiting`,
    ...(failed === 0 ? [] : [`${count(failed)} failed`]),
  ];
  say(`Switch  ${parts.join(", ")}, since ${ago((Date.now() - underWay.asked_at.getTime()) / 1000)}`);
  if (underWay.paused) note("It is paused. End the pause with: rag resume --kind reembed");
  else if (underWay.workers === 0 && done < documents)
    note(
      `No worker with this model is running. Start one configured for it (RAG_EMBEDDING_MODEL) beside the others.`,
    );
  if (failed > 0)
    note(
      "What failed: rag jobs --kind reembed --status failed. Then rag retry, or switch without: rag model finish",
    );
  if (underWay.closing)
    note("New documents wait up to two minutes, so that the last ones can be embedded with both.");
}
