import type { DirtyPort } from '../dirty-port.ts';
import { DomainError } from '../errors.ts';
import type { Machine } from '../ports.ts';
import type { DirtyLimitInfo } from './dirty.ts';

const MIB = 2 ** 20;

/** What holds single vCPUs to a dirty rate: their limits as they were given, in MiB/s. */
export class DirtyLimits {
  readonly #machine: Machine;
  readonly #limits = new Map<number, number | bigint>();

  constructor(machine: Machine) {
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
    if (rate === 0) this.#cancel(vcpus);
    else for (const vcpu of vcpus) this.#setOne(vcpu, rate);
  }

  /** As in QEMU, harmless where there is no ring, and so nothing to cancel. */
  cancel(cpuIndex?: number | bigint): void {
    if (this.#port.ringEntries === null) return;
    this.#cancel(this.#vcpus(cpuIndex));
  }

  list(): readonly DirtyLimitInfo[] {
    const rates = this.#port.currentRates();
    return [...this.#limits]
      .sort(([one], [other]) => one - other)
      .map(([vcpu, limit]) => ({
        'cpu-index': vcpu,
        'limit-rate': limit,
        'current-rate': Math.round((rates[vcpu] ?? 0) / MIB),
      }));
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
    const reason = `is ${cpuIndex}; allowed are 0 to ${vcpus - 1}, or none for all vCPUs`;
    const violations = [{ pointer: '/cpu-index', reason }];
    throw new DomainError('value_out_of_range', `cpu-index ${reason}.`, { violations });
  }
}
