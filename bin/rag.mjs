#!/usr/bin/env node
// The command `rag`: the same as `node worker/main.ts`, except that an old Node gets a sentence, not a stack.
import "./check-node.mjs";
import "./check-place.mjs";
import "./keep-compiled.mjs";

// Not a static import: that would be read before the check above has run.
await import("../worker/main.ts");
