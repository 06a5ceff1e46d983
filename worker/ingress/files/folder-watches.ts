// Who says that something below a folder changed: the system, one watch a folder. A hint only: watches may be too
// few, come late or not at all (network disks), and a look through everything now and then finds what they missed.
import { type FSWatcher, watch } from "node:fs";

export type FolderWatches = {
  /** Watches these folders and no others; called with what a look has walked. */
  follow(folders: ReadonlySet<string>): void;
  close(): void;
};

// Each takes some memory of the kernel's, which has a limit for the whole machine.
const MOST_WATCHES = 4096;

/** `changed` is told the folder; it must return at once. */
export function openFolderWatches(changed: (folder: string) => void): FolderWatches {
  const watches = new Map<string, FSWatcher>();
  const drop = (folder: string) => {
    watches.get(folder)?.close();
    watches.delete(folder);
  };
  return {
    follow(folders) {
      for (const folder of watches.keys()) if (!folders.has(folder)) drop(folder);
      for (const folder of folders) {
        if (watches.has(folder) || watches.size >= MOST_WATCHES) continue;
        try {
          const one = watch(folder, { persistent: false }, () => changed(folder));
          one.on("error", () => drop(folder));
          watches.set(folder, one);
        } catch {
          // No room for another watch, or the folder is gone already.
        }
      }
    },
    close() {
      for (const folder of [...watches.keys()]) drop(folder);
    },
  };
}
