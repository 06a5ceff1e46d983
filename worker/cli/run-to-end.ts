// From a command's promise to the end of the process.
// A promise alone does not keep Node alive: while a command waits only for things that do not count (a socket
// or timer without a reference), the process would end in the middle of it with exit code 13. And what still
// hangs around afterwards (a connection kept alive) must not keep a finished command from ending.

const FAR_OFF_MS = 1 << 30;

/** Waits for the exit code, lets out what was printed (on Windows pipes are written later), and exits. */
export async function runToEnd(work: Promise<number>): Promise<void> {
  const timer = setInterval(() => {}, FAR_OFF_MS);
  const code = await work.finally(() => clearInterval(timer));
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
}
