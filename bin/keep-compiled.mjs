// Keeps compiled code, types stripped, beside the product: what was loaded once starts in half the time (the stripper
// alone takes a tenth of a second to load). Under the product's own folder and not the system's for temporary files,
// for what stands there is run; where that cannot be written, nothing is kept. NODE_COMPILE_CACHE names another place,
// NODE_DISABLE_COMPILE_CACHE=1 switches it off.
import module from "node:module";
import { fileURLToPath } from "node:url";

if (module.enableCompileCache) {
  module.enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/rag", import.meta.url)));
}
