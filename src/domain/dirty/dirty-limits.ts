import { DomainError } from '../errors.ts';
import type { DirtyPort, Hypervisor } from '../ports/hypervisor.ts';
import type { PassFigures } from '../ports/migration-session.ts';
import type { Settings } from '../settings/settings.ts';
import type { DirtyLimitInfo } from './dirty.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
const US_PER_SECOND = 1e6;

/** What a migration does to the vCPUs, microseconds: the most that one stands still until its ring is full, and how long that takes. */
export type ThrottleFigures = { readonly perRoundUs: number; readonly ringFullUs: number };

/** What holds single vCPUs to a dirty rate: their limits as they were given, in MiB/s. */
export class DirtyLimits {
  readonly #machine: Pick<Hypervisor, 'dirty' | 'describe'>;
  readonly #limits = new Map<number, number | bigint>();
  /** The limits from before, while a migration holds all vCPUs. */
  #before: ReadonlyMap<number, number | bigint> | null = null;

  constructor(machine: Pick<Hypervisor, 'dirty' | 'describe'>) {
    this.#machine = machine;
  }

  get #port(): DirtyPort {
    return this.#machine.dirty;
  }

  /** A rate of 0 cancels. @throws DomainError without a dirty ring, or for a vCPU that there is not. */
  set(rate: number | bigint, cpuIndex?: number | bigint): void {
    if (this.#port.ringEntries === null) {
      const message = 'Limits of vCPUs need a machine with a dirty ring (--dirty-ring-size).';
      throw new DomainError('dirty_ring_needed', message);
    }
    const vcpus = this.#vcpus(cpuIndex);
    this.#refuseWhileThrottled();
    if (rate === 0) this.#cancel(vcpus);
    else for (const vcpu of vcpus) this.#setOne(vcpu, rate);
  }

  /** As in QEMU, harmless where there is no ring, and so nothing to cancel. */
  cancel(cpuIndex?: number | bigint): void {
    if (this.#port.ringEntries === null) return;
    const vcpus = this.#vcpus(cpuIndex);
    this.#refuseWhileThrottled();
    this.#cancel(vcpus);
  }

  /** Holds all vCPUs on behalf of a migration; a machine without a ring is left alone. */
  throttle(rate: number | bigint): void {
    if (this.#port.ringEntries === null) return;
    this.#before ??= new Map(this.#limits);
    for (const vcpu of this.#vcpus(undefined)) this.#setOne(vcpu, rate);
  }

  /** The limits are as they were before. */
  endThrottle(): void {
    const before = this.#before;
    if (before === null) return;
    this.#before = null;
    this.#cancel([...this.#limits.keys()].filter((vcpu) => !before.has(vcpu)));
    for (const [vcpu, rate] of before) this.#setOne(vcpu, rate);
  }

  /** Null while no migration holds the vCPUs. */
  throttleFigures(): ThrottleFigures | null {
    const { ringEntries } = this.#port;
    if (this.#before === null || ringEntries === null) return null;
    const rates = this.#port.currentRates();
    const shares = this.#port.heldShares();
    const fullUs = (rate: number): number => (rate === 0 ? 0 : (ringEntries * PAGE_BYTES * US_PER_SECOND) / rate);
    const mean = rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
    const perRound = rates.map((rate, vcpu) => fullUs(rate) * (shares[vcpu] ?? 0));
    return { perRoundUs: Math.round(Math.max(0, ...perRound)), ringFullUs: Math.round(fullUs(mean)) };
  }

  /** @throws DomainError for a vCPU that there is not. */
  list(cpuIndex?: number | bigint): readonly DirtyLimitInfo[] {
    const rates = this.#port.currentRates();
    const meant = new Set(this.#vcpus(cpuIndex));
    return [...this.#limits]
      .filter(([vcpu]) => meant.has(vcpu))
      .sort(([one], [other]) => one - other)
      .map(([vcpu, limit]) => ({
        'cpu-index': vcpu,
        'limit-rate': limit,
        'current-rate': Math.round((rates[vcpu] ?? 0) / MIB),
      }));
  }

  #refuseWhileThrottled(): void {
    if (this.#before === null) return;
    const message = 'A migration holds the vCPUs to vcpu-dirty-limit (capability dirty-limit) until it has ended.';
    throw new DomainError('migration_in_progress', message);
  }

  #setOne(vcpu: number, rate: number | bigint): void {
    this.#port.limit(vcpu, Number(rate));
    this.#limits.set(vcpu, rate);
  }

  #cancel(vcpus: readonly number[]): void {
    for (const vcpu of vcpus) if (this.#limits.delete(vcpu)) this.#port.limit(vcpu, null);
  }

  /** Those that are meant; all of them if none is named. */
  #vcpus(cpuIndex: number | bigint | undefined): readonly number[] {
    const { vcpus } = this.#machine.describe();
    if (cpuIndex === undefined) return Array.from({ length: vcpus }, (_, vcpu) => vcpu);
    if (cpuIndex >= 0 && cpuIndex < vcpus) return [Number(cpuIndex)];
    const allowed = vcpus === 0 ? 'this machine has no vCPU' : `allowed are 0 to ${vcpus - 1}, or none for all vCPUs`;
    const reason = `is ${cpuIndex}; ${allowed}`;
    const violations = [{ pointer: '/cpu-index', reason }];
    throw new DomainError('value_out_of_range', `cpu-index ${reason}.`, { violations });
  }
}

/** Passes are put together until they have taken so long: what one of them dirtied says little if it was short. */
const PERIOD_MS = 1000;
/** Periods in which too much was dirtied, before vCPUs are held. */
const HIGH_PERIODS = 2;

export type ThrottleParts = {
  readonly settings: Pick<Settings, 'dirtyThrottle'>;
  readonly dirtyLimits: Pick<DirtyLimits, 'throttle' | 'endThrottle'>;
};

/**
 * The capability dirty-limit, as QEMU has it: twice that the guest dirtied more in a period than the part
 * throttle-trigger-threshold (percent) of what was sent meanwhile, and every vCPU is held to vcpu-dirty-limit until the
 * migration has ended.
 */
export class DirtyThrottle {
  readonly #parts: ThrottleParts;
  #elapsedMs = 0;
  #sentBytes = 0;
  #dirtyBytes = 0;
  #highPeriods = 0;

  constructor(parts: ThrottleParts) {
    this.#parts = parts;
  }

  passEnded({ durationMs, sentBytes, dirtyBytes }: PassFigures): void {
    this.#elapsedMs += durationMs;
    this.#sentBytes += sentBytes;
    this.#dirtyBytes += dirtyBytes;
    if (this.#elapsedMs < PERIOD_MS) return;
    const { triggerPercent, vcpuDirtyLimit } = this.#parts.settings.dirtyThrottle();
    const isHigh = this.#dirtyBytes > (this.#sentBytes * triggerPercent) / 100;
    [this.#elapsedMs, this.#sentBytes, this.#dirtyBytes] = [0, 0, 0];
    if (isHigh) this.#highPeriods += 1;
    if (this.#highPeriods < HIGH_PERIODS) return;
    this.#highPeriods = 0;
    this.#parts.dirtyLimits.throttle(vcpuDirtyLimit);
  }

  /** The vCPUs have the limits again that they had before, if they had any. */
  end(): void {
    this.#parts.dirtyLimits.endThrottle();
  }
}
