// Says one clear sentence where the worker's sources are an application's dependency: Node runs no TypeScript below
// node_modules. Plain JavaScript, for it is read before them.
import { fileURLToPath } from "node:url";

if (/[\\/]node_modules[\\/]/.test(fileURLToPath(import.meta.url))) {
  process.stderr.write(
    "rag runs from a clone of its repository (npm ci, npm run worker:rag); what an application installs is the " +
      'client, import { createRagClient } from "rag-ingestion-worker/client".\n',
  );
  process.exit(2);
}
