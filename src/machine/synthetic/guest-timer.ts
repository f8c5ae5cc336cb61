import type { ConsoleRing } from './console-ring.ts';
import type { DeviceBody } from './device-body.ts';

export const TIMER_FIELDS = [
  { name: 'ticks', type: 'uint64', bytes: 8 },
  { name: 'since-tick-us', type: 'uint32', bytes: 4 },
] as const;

export const TICK_MS = 100;

/** Guest time that one slice may add: a host that slept for an hour is a short pause to the guest. */
const ADVANCE_MS_MAX = 1000;

/** Counts guest time, which passes only while the guest runs: a tick, and a line on the console, every 100 ms. */
export class GuestTimer {
  readonly #body: DeviceBody;
  readonly #console: ConsoleRing;
  #ticks: number;
  #sinceTickMs: number;

  constructor(body: DeviceBody, console: ConsoleRing) {
    this.#body = body;
    this.#console = console;
    this.#ticks = body.read('ticks');
    this.#sinceTickMs = body.read('since-tick-us') / 1000;
  }

  get ticks(): number {
    return this.#ticks;
  }

  /** Milliseconds of guest time until the next tick. */
  get untilTickMs(): number {
    return TICK_MS - this.#sinceTickMs;
  }

  advance(elapsedMs: number): void {
    this.#sinceTickMs += Math.min(elapsedMs, ADVANCE_MS_MAX);
    while (this.#sinceTickMs >= TICK_MS) {
      this.#sinceTickMs -= TICK_MS;
      this.#ticks += 1;
      this.#console.print(`tick ${this.#ticks}\n`);
    }
  }

  save(): void {
    this.#body.write('ticks', this.#ticks);
    this.#body.write('since-tick-us', Math.floor(this.#sinceTickMs * 1000));
  }
}

/** @throws RangeError if the body, which may come from outside, is not a timer's. */
export function assertTimer(body: DeviceBody): void {
  body.read('ticks');
  body.readBetween('since-tick-us', 0, TICK_MS * 1000 - 1);
}
