import type { Kernels } from '../../engine/kernels/index.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import type { ConsoleRing } from './console-ring.ts';
import type { DeviceBody } from './device-body.ts';
import type { DirtyMarker } from './dirty-marker.ts';
import { DiskDriver, type DiskLink } from './disk-driver.ts';
import { DiskLedger } from './disk-ledger.ts';
import { type DiskRegisters, readDiskRegisters, writeDiskRegisters } from './disk-registers.ts';
import type { GuestOrigin } from './guest-disk.ts';
import type { GuestMap } from './guest-map.ts';

export type DiskWorkOptions = {
  readonly body: DeviceBody;
  readonly memory: GuestMemory;
  /** Of the first segment. */
  readonly kernels: Kernels;
  readonly map: GuestMap;
  readonly marker: DirtyMarker;
  readonly console: ConsoleRing;
  /** Null: this machine has no disk; what the guest knows of one elsewhere stays as it is. */
  readonly link: DiskLink | null;
  readonly origin: GuestOrigin;
  readonly seed: number;
};

/** The disk as vCPU 0 has it: what the guest knows of it, and the driver if there is one here. */
export class DiskWork {
  readonly registers: DiskRegisters;
  readonly #body: DeviceBody;
  readonly #ledger: DiskLedger;
  readonly #driver: DiskDriver | null;

  /** @throws RangeError if the body is not one of a guest's disk. */
  constructor({ body, memory, kernels, map, marker, console, link, origin, seed }: DiskWorkOptions) {
    this.#body = body;
    this.registers = readDiskRegisters(body);
    this.#ledger = new DiskLedger({ memory, kernels, map, marker });
    const { registers } = this;
    const options = { registers, ledger: this.#ledger, console, origin, seed };
    this.#driver = link === null ? null : new DiskDriver(link, options);
  }

  /** True once the whole disk was found to be what it must be. */
  get isChecked(): boolean {
    return this.#driver?.isChecked ?? false;
  }

  /** @returns milliseconds until there is more to do. @throws GuestFault for what it finds. */
  advance(elapsedMs: number, isBusy: boolean): number {
    return this.#driver?.advance(elapsedMs, isBusy) ?? Number.POSITIVE_INFINITY;
  }

  /** @throws GuestFault if the ledger in RAM is not the one that belongs to the registers. */
  checkLedger(): void {
    this.#ledger.check(this.registers);
  }

  save(): void {
    writeDiskRegisters(this.#body, this.registers);
  }
}
