// What writing costs without us: COPY in binary form on a connection of its own, a transaction a batch, no lease, no
// progress, nobody to tell.
import type { Socket } from "node:net";
import { finished } from "node:stream/promises";
import { COPY_COLUMNS, copyRows } from "../../../worker/database/copy-rows.ts";
import { readAddress } from "../../../worker/database/postgres-address.ts";
import { openClient } from "../../../worker/database/postgres-client.ts";
import type { EmbeddedChunk } from "../../../worker/document/chunk.ts";
import { MODEL } from "./rows.ts";

export type BareWriter = {
  write(table: string, documentId: string, chunks: readonly EmbeddedChunk[]): Promise<void>;
  close(): Promise<void>;
};

export function openBareWriter(url: string): BareWriter {
  const sql = openClient({
    address: readAddress(url),
    connectSeconds: 10,
    idleSeconds: null,
    lifetimeSeconds: null,
    onSocket: (_: Socket) => {},
  });
  return {
    async write(table, documentId, chunks) {
      const target = { documentId, generation: 1, tenantId: "default", tags: [], embeddingModel: MODEL };
      const stream = await sql
        .unsafe(`copy ${table} (${COPY_COLUMNS}) from stdin with (format binary)`)
        .writable();
      stream.end(copyRows(chunks, target));
      await finished(stream);
    },
    close: () => sql.end(),
  };
}
