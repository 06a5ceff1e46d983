// The stand-in provider in a process of its own: started by ingest-provider.ts with its options as JSON.
import { startEmbeddingServer } from "../../worker/tests/stand-ins/embedding-server.ts";

const server = await startEmbeddingServer(JSON.parse(process.argv[2] ?? "{}"));
process.on("message", () => process.send?.({ requests: server.seen.requests, texts: server.seen.texts }));
process.on("disconnect", () => process.exit(0));
process.send?.({ baseUrl: server.baseUrl });
