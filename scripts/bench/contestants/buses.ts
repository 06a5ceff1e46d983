// The wake-up buses of a bench: the addresses come from REDIS_URL and NATS_URL of whoever runs it.
import type { WakeBusConfig } from "../../../worker/wake-buses/choose-bus.ts";
import type { PartSettings } from "./part.ts";

export const busConfig = ({ bus }: Pick<PartSettings, "bus">): WakeBusConfig => ({
  wakeBus: bus,
  listenChannel: "rag_jobs",
  redisUrl: process.env.REDIS_URL ?? null,
  natsUrl: process.env.NATS_URL ?? null,
});
