import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/**
 * Of threads that move gigabytes, in nice levels: where all cores are busy, who answers HTTP comes before them. They still
 * get whatever nobody else wants, which on an idle machine is everything.
 */
const NICE = 5;

/**
 * Lets this thread stand back behind the other threads of the process. Advice: where the system does not take it,
 * everything is as it was. Linux has priorities for threads; elsewhere this would be the whole process's.
 */
export function giveWay(): void {
  if (process.platform !== 'linux') return;
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (Number.isSafeInteger(thread)) setPriority(thread, NICE);
  } catch {
    // Without /proc, or not permitted.
  }
}
