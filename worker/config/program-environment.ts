// What programs and threads that we start may see of our environment. A program: where things are, and what graphics
// drivers want.
// A list of what is allowed, not of what is not: tomorrow's secret has a name nobody knows today.
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";

const NAMES = /^(PATH|HOME|TMPDIR|TEMP|TMP|LANG|LC_[A-Z]+|TZ|SYSTEMROOT|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH)$/;
const DRIVERS = /^(CUDA|NVIDIA|HIP|ROCR|ROCM|HSA|VK|GGML|OMP)_[A-Z0-9_]+$/;

export function programEnvironment(): Readonly<Record<string, string>> {
  const seen = Object.entries(process.env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && (NAMES.test(entry[0]) || DRIVERS.test(entry[0])),
  );
  return Object.fromEntries(seen);
}

/** Nothing but where compiled code is kept, which a thread does not inherit: it loads in 0.15 s instead of 0.4. */
export function threadEnvironment(): Readonly<Record<string, string>> {
  // Node answers a folder of its version's own, and takes the one around it.
  const kept = getCompileCacheDir();
  return kept === undefined ? {} : { NODE_COMPILE_CACHE: dirname(kept) };
}
