// vi.waitFor gives up after a second unless told otherwise: on a machine with other work that is a timed assertion.
// Here it waits as long as a test may reasonably take; what never comes fails with the same words, later.
import { vi } from "vitest";

const TIMEOUT_MS = 20_000;

const { waitFor } = vi;
vi.waitFor = (callback, options = {}) =>
  waitFor(callback, typeof options === "number" ? options : { timeout: TIMEOUT_MS, ...options });
