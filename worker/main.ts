#!/usr/bin/env node
// The entry point: hands the arguments to the command line and ends with its exit code.
// Imports nothing but the check before it has passed, for a newer file may not even load in an old Node.
import { setFlagsFromString } from "node:v8";
import "../bin/check-node.mjs";

// The young generation grows to 8 MB while the code is loaded and stays so. Texts and vectors live for a round trip,
// longer than any that would fit: left alone it grew to 110 MB and copied them about. With the 2 MB that it begins with
// a fifth of the worker's time went into collecting short-lived objects (npm run bench -- pipeline).
setFlagsFromString("--semi-space-growth-factor=4");

const { run } = await import("./cli/run.ts");
const { runToEnd } = await import("./cli/run-to-end.ts");
setFlagsFromString("--semi-space-growth-factor=1");

await runToEnd(run(process.argv.slice(2)));
