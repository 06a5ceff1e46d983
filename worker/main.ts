#!/usr/bin/env node
// The entry point: hands the arguments to the command line and ends with its exit code.
// Imports nothing but the check before it has passed, for a newer file may not even load in an old Node.
import "../bin/check-node.mjs";

const { aliveWhile } = await import("./cli/alive-while.ts");
const { run } = await import("./cli/run.ts");

const code = await aliveWhile(run(process.argv.slice(2)));
// What still hangs around now (a socket kept alive, a timer) must not keep a finished command from ending;
// what was printed must leave first, for on Windows pipes are written in the background.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
