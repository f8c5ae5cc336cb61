import type { AnnounceSchedule } from './announce.ts';

/** So that an endless schedule without delays leaves time for everything else. */
const DELAY_MS_MIN = 1n;
/** What a timer takes: some 24 days. */
const DELAY_MS_MAX = 2n ** 31n - 1n;

/** Milliseconds from round `made` to the one behind it. */
export function delayAfter(made: number, { initial, step, max }: AnnounceSchedule): number {
  const delay = BigInt(initial) + BigInt(made - 1) * BigInt(step);
  const capped = delay < 0n || delay > BigInt(max) ? BigInt(max) : delay;
  if (capped < DELAY_MS_MIN) return Number(DELAY_MS_MIN);
  return Number(capped > DELAY_MS_MAX ? DELAY_MS_MAX : capped);
}

/** Rounds in all, as QEMU counts them; infinity for a negative number, which its count never comes to. */
export function roundsOf({ rounds }: AnnounceSchedule): number {
  const counted = Number(BigInt.asIntN(32, BigInt(rounds)));
  return counted < 0 ? Number.POSITIVE_INFINITY : counted;
}
