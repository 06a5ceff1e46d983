// Which streams keep our subjects, and the durable consumers on them. A subject that no stream keeps gets one of ours;
// where that is not possible (no JetStream, no right to, another stream in the way) it is listened to without one.
import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Group, groupNames, groups, subjects } from "./message.ts";

export type Kept = {
  readonly consumers: readonly { readonly group: Group; readonly consumer: Consumer }[];
  /** What no consumer brings: group and subject. */
  readonly unkept: readonly { readonly group: Group; readonly subject: string }[];
};

const STREAM = "rag_messages";
const NANOS = 1_000_000;
// What a group may have unacknowledged, over all replicas: back-pressure towards the stream.
export const MOST_UNACKED = 512;
const API_MS = 5000;

type Consuming = { readonly ackWaitMs: number };

/** Everything goes without a stream where none is wanted (null), or the server has no JetStream for us. */
export async function openStreams(connection: NatsConnection, wanted: Consuming | null): Promise<Kept> {
  const all = groupNames.flatMap((group) => groups[group].map((subject) => ({ group, subject })));
  const manager = wanted && (await managerOf(connection));
  if (wanted === null || manager === null) return { consumers: [], unkept: all };
  const streams = await streamsOf(manager);
  const consumers: { group: Group; consumer: Consumer }[] = [];
  const kept = new Set<string>();
  for (const group of groupNames) {
    for (const [stream, covered] of streams) {
      const filter = groups[group].filter((subject) => covered.includes(subject));
      if (filter.length === 0) continue;
      const consumer = await consumerOf(connection, manager, { ...wanted, stream, group, filter });
      if (consumer === null) continue;
      consumers.push({ group, consumer });
      for (const subject of filter) kept.add(`${group} ${subject}`);
    }
  }
  return { consumers, unkept: all.filter(({ group, subject }) => !kept.has(`${group} ${subject}`)) };
}

async function managerOf(connection: NatsConnection): Promise<JetStreamManager | null> {
  try {
    const manager = await jetstreamManager(connection, { timeout: API_MS, checkAPI: false });
    await manager.getAccountInfo();
    return manager;
  } catch (thrown) {
    if (connection.isClosed()) throw thrown;
    return null;
  }
}

async function streamsOf(manager: JetStreamManager): Promise<ReadonlyMap<string, readonly string[]>> {
  const streams = new Map<string, string[]>();
  const free: string[] = [];
  for (const subject of subjects) {
    const stream = await manager.streams.find(subject).catch(() => null);
    if (stream === null) free.push(subject);
    else streams.set(stream, [...(streams.get(stream) ?? []), subject]);
  }
  if (free.length > 0 && (await makeStream(manager, [...(streams.get(STREAM) ?? []), ...free])))
    streams.set(STREAM, [...(streams.get(STREAM) ?? []), ...free]);
  return streams;
}

/** False where we may not, or where another stream has a part of the subjects. */
async function makeStream(manager: JetStreamManager, wanted: readonly string[]): Promise<boolean> {
  const config = { name: STREAM, subjects: [...wanted] };
  try {
    await manager.streams.add({
      ...config,
      storage: StorageType.File,
      // Gone when every group has acknowledged it, and not before.
      retention: RetentionPolicy.Interest,
    });
    return true;
  } catch {
    // A replica that started at the same moment has made it; or it is ours, of an older version.
    return await manager.streams.update(STREAM, { subjects: [...wanted] }).then(
      () => true,
      () => false,
    );
  }
}

type Wanted = Consuming & {
  readonly stream: string;
  readonly group: Group;
  readonly filter: readonly string[];
};

async function consumerOf(
  connection: NatsConnection,
  manager: JetStreamManager,
  { ackWaitMs, stream, group, filter }: Wanted,
): Promise<Consumer | null> {
  const config = {
    filter_subjects: [...filter],
    ack_wait: ackWaitMs * NANOS,
    max_ack_pending: MOST_UNACKED,
    // A database that is away for a night must not use up a message's tries.
    max_deliver: -1,
  };
  try {
    await manager.consumers.add(stream, {
      ...config,
      durable_name: group,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
    });
  } catch {
    const updated = await manager.consumers.update(stream, group, config).catch(() => null);
    if (updated === null) return null;
  }
  return await jetstream(connection, { timeout: API_MS }).consumers.get(stream, group);
}
