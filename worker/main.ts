#!/usr/bin/env node
// The entry point: hands the arguments to the command line and ends with its exit code.
// Imports nothing but the check before it has passed, for a newer file may not even load in an old Node.
import "../bin/check-node.mjs";

const { run } = await import("./cli/run.ts");
const { runToEnd } = await import("./cli/run-to-end.ts");

await runToEnd(run(process.argv.slice(2)));
