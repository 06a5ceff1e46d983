#!/usr/bin/env node
// The entry point: hands the arguments to the command line and ends with its exit code.
// Imports nothing but the check before it has passed, for a newer file may not even load in an old Node.
import { setFlagsFromString } from "node:v8";
import "../bin/check-node.mjs";

// The young generation stays as small as it begins. Texts and vectors live for a round trip, longer than any that
// would fit: it grew to 110 MB and copied them about, for as much CPU (npm run bench -- pipeline: 420 -> 330 MB).
setFlagsFromString("--semi-space-growth-factor=1");

const { run } = await import("./cli/run.ts");
const { runToEnd } = await import("./cli/run-to-end.ts");

await runToEnd(run(process.argv.slice(2)));
