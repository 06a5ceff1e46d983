// A promise alone does not keep Node alive: while a command waits only for things that do not count (a socket
// without a reference, a timer likewise), the process would end in the middle of it with exit code 13.

const FAR_OFF_MS = 1 << 30;

/** Keeps the process running until the work has ended. */
export async function aliveWhile<Result>(work: Promise<Result>): Promise<Result> {
  const timer = setInterval(() => {}, FAR_OFF_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
