/** Whether there is a process of this number, whoever it belongs to; the remains that no parent has collected count. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === "EPERM"; // It lives and belongs to somebody else.
  }
}
