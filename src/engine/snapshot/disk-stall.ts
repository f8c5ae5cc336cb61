import type { FileCall } from '../../block/image.ts';

/** A disk hangs if a system call on it lasts longer than this. */
export const DISK_STALL_MS = 60_000;
/** Factor for a flush: it writes all cached data of the file, which may be a part of the system's memory. */
const FLUSH_ALLOWANCE = 10;
/** Polls in that time. Polls are counted instead of time, so that a stopped process does not count as hung. */
const POLLS = 12;

export type WatchedNode = { readonly name: string; readonly image: { readonly underWay: Iterable<FileCall> } };

/**
 * Watches all system calls on the images, also those of other tasks, because requests wait for each other.
 * @param onStall called once, with a clause that describes the call.
 * @returns a function that ends the watch.
 */
export function watchForStalls(
  nodes: readonly WatchedNode[],
  stallMs: number,
  onStall: (what: string) => void,
): () => void {
  let seen = new Map<FileCall, number>();
  const look = (): void => {
    const now = new Map<FileCall, number>();
    for (const { name, image } of nodes) {
      for (const call of image.underWay) {
        const polls = (seen.get(call) ?? 0) + 1;
        now.set(call, polls);
        if (polls <= POLLS * allowanceOf(call)) continue;
        clearInterval(timer);
        onStall(`the disk of node ${name} does not answer: ${describeCall(call, stallMs)}`);
        return;
      }
    }
    seen = now;
  };
  const timer = setInterval(look, stallMs / POLLS);
  timer.unref();
  return () => clearInterval(timer);
}

function allowanceOf({ doing }: FileCall): number {
  return doing === 'flushing' ? FLUSH_ALLOWANCE : 1;
}

function describeCall(call: FileCall, stallMs: number): string {
  const { doing, position, bytes } = call;
  const where = doing === 'reading' || doing === 'writing' ? `${doing} ${bytes} bytes at ${position}` : doing;
  return `${where} did not end within ${stallMs * allowanceOf(call)} ms`;
}

/**
 * Ends this thread with an uncaught error. The engine starts another thread, which undoes incomplete changes. Used when
 * a system call does not return, because it cannot be ended in another way.
 * @param reason a clause; the tasks in progress fail with it.
 */
export function endThread(reason: string): Promise<never> {
  setImmediate(() => {
    throw new Error(reason);
  });
  return new Promise(() => {});
}
