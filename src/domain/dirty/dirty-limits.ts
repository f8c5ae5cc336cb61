import { DomainError } from '../errors.ts';
import type { DirtyPort, Hypervisor } from '../ports/hypervisor.ts';
import type { DirtyLimitInfo } from './dirty-types.ts';

const MIB = 2 ** 20;
const PAGE_BYTES = 4096;
const US_PER_SECOND = 1e6;

/**
 * Effect of a migration's limits, in microseconds. `perRoundUs`: the longest time that a vCPU stands still until its
 * ring is full. `ringFullUs`: the mean time until a ring is full.
 */
export type ThrottleFigures = { readonly perRoundUs: number; readonly ringFullUs: number };

/** Limits the dirty rate of single vCPUs. Keeps the limits as given, in MiB/s. */
export class DirtyLimits {
  readonly #machine: Pick<Hypervisor, 'dirty' | 'describe'>;
  readonly #limits = new Map<number, number | bigint>();
  /** The limits before a migration limited all vCPUs; null: none does. */
  #before: ReadonlyMap<number, number | bigint> | null = null;

  constructor(machine: Pick<Hypervisor, 'dirty' | 'describe'>) {
    this.#machine = machine;
  }

  get #port(): DirtyPort {
    return this.#machine.dirty;
  }

  /**
   * Sets a limit in MiB/s; 0 removes it. @throws DomainError if there is no dirty ring or no such vCPU, or while a
   * migration limits the vCPUs.
   */
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

  /** Removes limits. As in QEMU it has no effect without a dirty ring. */
  cancel(cpuIndex?: number | bigint): void {
    if (this.#port.ringEntries === null) return;
    const vcpus = this.#vcpus(cpuIndex);
    this.#refuseWhileThrottled();
    this.#cancel(vcpus);
  }

  /** Limits all vCPUs for a migration. Without a dirty ring it has no effect. */
  throttle(rate: number | bigint): void {
    if (this.#port.ringEntries === null) return;
    this.#before ??= new Map(this.#limits);
    for (const vcpu of this.#vcpus(undefined)) this.#setOne(vcpu, rate);
  }

  /** Restores the limits from before `throttle`. */
  endThrottle(): void {
    const before = this.#before;
    if (before === null) return;
    this.#before = null;
    this.#cancel([...this.#limits.keys()].filter((vcpu) => !before.has(vcpu)));
    for (const [vcpu, rate] of before) this.#setOne(vcpu, rate);
  }

  /** Null while no migration limits the vCPUs. */
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

  /** @throws DomainError if there is no such vCPU. */
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

  /** The named vCPU, or all. @throws DomainError value_out_of_range */
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
