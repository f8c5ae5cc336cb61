/**
 * Ends this thread by a fault that nobody catches; the engine starts another, which takes back what this one left. For a
 * system call that does not come back: there is no other way to be rid of it.
 * @param reason a clause; what was under way fails with it.
 */
export function endThread(reason: string): Promise<never> {
  setImmediate(() => {
    throw new Error(reason);
  });
  return new Promise(() => {});
}
