// npx node worker/tests/stand-ins/make-gguf.ts OUT.gguf: writes the model that test servers serve.
import { writeFileSync } from "node:fs";
import { minilmGguf } from "./gguf-minilm.ts";

const [path] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write("usage: node worker/tests/stand-ins/make-gguf.ts OUT.gguf\n");
  process.exitCode = 2;
} else {
  writeFileSync(path, minilmGguf());
}
