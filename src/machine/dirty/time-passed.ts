import { setTimeout as sleep } from 'node:timers/promises';

/** How time goes by; milliseconds. */
type Time = {
  readonly now: () => number;
  readonly sleep: (ms: number, value: undefined, options: { readonly signal: AbortSignal }) => Promise<unknown>;
};

/**
 * Resolves when so many milliseconds have passed, and never before: a timer may fire up to one too early, and then a
 * measurement of a second would be told to have taken none. Rejects with the signal's reason when it aborts.
 * @returns the milliseconds that have really passed.
 */
export async function timePassed(
  ms: number,
  signal: AbortSignal,
  time: Time = { now: () => performance.now(), sleep },
): Promise<number> {
  const begunMs = time.now();
  for (let passedMs = 0; ; passedMs = time.now() - begunMs) {
    if (passedMs >= ms) return passedMs;
    await time.sleep(Math.ceil(ms - passedMs), undefined, { signal });
  }
}
