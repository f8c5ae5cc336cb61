import type { FigureBlock } from '../shared/figures.ts';

/** A worker's heart must beat within this time; the longest it may rightly block is the guest's stop, 2 s. */
export const HANG_MS_MAX = 15_000;
/** Looks in that time. Looks are counted, not time: a process that was stopped as a whole has not hung. */
const LOOKS = 5;

/**
 * Notices a worker whose event loop stands still: its heartbeat figure does not change from one look to the next.
 * The timer does not keep the process alive.
 * @returns a function that ends the watch.
 */
export function watchHeartbeat(figures: FigureBlock, hangMsMax: number, onHang: () => void): () => void {
  let seen = -1;
  let unchanged = 0;
  const timer = setInterval(() => {
    const beat = figures.get('heartbeat');
    unchanged = beat === seen ? unchanged + 1 : 0;
    seen = beat;
    if (unchanged < LOOKS) return;
    clearInterval(timer);
    onHang();
  }, hangMsMax / LOOKS);
  timer.unref();
  return () => clearInterval(timer);
}
