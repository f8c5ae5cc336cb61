import type { FileCall } from '../../block/image.ts';

/** A disk that takes nothing for so long has hung. */
export const DISK_STALL_MS = 60_000;
/** Times that for a flush: it writes what the system has held back, which may be a part of its memory. */
const FLUSH_ALLOWANCE = 10;
/** Looks in that time. Looks are counted, not time: a process that was stopped as a whole has not hung. */
const LOOKS = 12;

export type WatchedNode = { readonly name: string; readonly image: { readonly underWay: Iterable<FileCall> } };

/**
 * Watches the calls on images, of whoever: what waits behind one that hangs does not come to its end either.
 * @param onStall told once of a call that does not end, as a clause.
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
        const looks = (seen.get(call) ?? 0) + 1;
        now.set(call, looks);
        if (looks <= LOOKS * allowanceOf(call)) continue;
        clearInterval(timer);
        onStall(`the disk of node ${name} takes nothing any more: ${describeCall(call, stallMs)}`);
        return;
      }
    }
    seen = now;
  };
  const timer = setInterval(look, stallMs / LOOKS);
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
