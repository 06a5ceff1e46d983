// One contestant in a process of its own: told its name and settings, it loads, ingests everything and answers
// {chunks, seconds} over the channel; loading and connecting are not counted.
import { openBareLoop } from "./bare.ts";
import { openLangChainByDocument, openLangChainInBatches } from "./langchain.ts";
import { openLlamaIndexByDocument, openLlamaIndexInBatches } from "./llamaindex.ts";
import type { OpenRival, RivalName, RivalResult, RivalSettings } from "./rival.ts";

const rivals: Readonly<Record<RivalName, OpenRival>> = {
  "langchain, a document a job": openLangChainByDocument,
  "langchain, batches": openLangChainInBatches,
  "llamaindex, a document a job": openLlamaIndexByDocument,
  "llamaindex, batches": openLlamaIndexInBatches,
  "bare loop": openBareLoop,
};

const [name, settings] = process.argv.slice(2);
const open = rivals[name as RivalName];
if (open === undefined || settings === undefined) throw new Error("rival-process NAME SETTINGS");
const rival = await open(JSON.parse(settings) as RivalSettings); // SAFETY: written by run-rival.ts.
const startedAt = performance.now();
const chunks = await rival.ingest();
const result: RivalResult = { chunks, seconds: (performance.now() - startedAt) / 1000 };
process.send?.(result);
await rival.close();
process.disconnect();
