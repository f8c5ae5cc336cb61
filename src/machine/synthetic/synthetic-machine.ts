import type { GuestPanic, HoldReason, MachineDescription, Workload } from '../../domain/ports/hypervisor.ts';
import type { DiskAttachment } from '../../engine/memory/disk-slot.ts';
import { createGuestMemory, MemoryPair, touchMemory } from '../../engine/memory/guest-memory.ts';
import type { GuestMemory, LoadedMachine, TransferSource, TransferTarget } from '../../engine/memory/machine-state.ts';
import { HOLD, holdBits, VcpuControl } from '../../engine/memory/vcpu-control.ts';
import { WorkerThreads } from '../../engine/memory/worker-memory.ts';
import type { EmbeddedMachine } from '../embedded-machine.ts';
import { ConsoleRing, TICK_MS } from './device-bodies.ts';
import { MachineDisk, type MachineDiskOptions } from './disk-driver.ts';
import { readDiskRegisters } from './disk-ledger.ts';
import {
  assertBodies,
  bodyOf,
  createGuestDevices,
  deviceList,
  type GuestDevices,
  PanicRecord,
} from './guest-devices.ts';
import { GuestMap } from './guest-map.ts';
import {
  assertWorkload,
  bootRegisters,
  readWorkload,
  type SyntheticWorkload,
  writeWorkload,
} from './guest-workload.ts';
import { MachineCells } from './machine-cells.ts';
import { SyntheticDirty } from './synthetic-dirty.ts';
import { VcpuThread } from './vcpu-thread.ts';

export const SYNTHETIC_MACHINE_NAME = 'vmferry-synthetic-1.0';
export const SYNTHETIC_VCPUS_MAX = 64;
const RAM_BLOCK = 'ferry.ram';

export type SyntheticMachineOptions = {
  /** A multiple of 4096. */
  readonly ramBytes: number;
  /** Allocate all of RAM at the start; default: pages are allocated when they are first written. */
  readonly preallocatesRam?: boolean;
  /** 1 to SYNTHETIC_VCPUS_MAX. */
  readonly vcpus: number;
  readonly workload: SyntheticWorkload;
  /** Entries of the dirty ring of each vCPU; default: no rings. */
  readonly ringEntries?: number | null;
  /** Seed of the content of RAM; a whole number below 2^32. */
  readonly seed: number;
  /** Initial holds. With `incoming` the machine waits for a guest and does not boot its own. */
  readonly holds: readonly HoldReason[];
  /** The disk of the guest; the caller must give `diskAttachment` to a thread that serves it. Default: none. */
  readonly disk?: MachineDiskOptions | null;
  /** Counts the vCPU threads; default: a count of its own. */
  readonly workers?: WorkerThreads;
  /** Most bytes of RAM in one segment; for tests. */
  readonly segmentBytesMax?: number;
};

/** Starts a synthetic guest. @throws RangeError with the invalid option and the allowed values. */
export function createSyntheticMachine(options: SyntheticMachineOptions): SyntheticMachine {
  return new SyntheticMachine(options);
}
/** A vCPU that starts at the moment of a hold counts as running until it has read the hold, some microseconds. */
const ENTRY_MS_MAX = 50;

/** The embedded guest: RAM in shared memory, and one thread for each vCPU, which writes and checks RAM. */
export class SyntheticMachine implements EmbeddedMachine {
  readonly kind = 'synthetic';
  readonly canRun = true;
  readonly isLoaded = true;
  readonly dirty: SyntheticDirty;
  readonly #memories: MemoryPair;
  readonly #map: GuestMap;
  readonly #ramBytes: number;
  readonly #devices: GuestDevices;
  readonly #console: ConsoleRing;
  readonly #control = new VcpuControl();
  readonly #cells: MachineCells;
  readonly #panic = new PanicRecord();
  readonly #panicListeners: ((panic: GuestPanic) => void)[] = [];
  readonly #disk: MachineDisk | null;
  readonly #threads: readonly VcpuThread[];
  #isPanicReported = false;

  constructor(options: SyntheticMachineOptions) {
    const { ramBytes, vcpus, workload, seed, holds, segmentBytesMax, ringEntries = null } = options;
    if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > SYNTHETIC_VCPUS_MAX) {
      throw new RangeError(`${vcpus} vCPUs were asked for; allowed are 1 to ${SYNTHETIC_VCPUS_MAX}`);
    }
    assertWorkload(workload, ramBytes);
    const memory = createGuestMemory([{ name: RAM_BLOCK, bytes: ramBytes }], segmentBytesMax);
    if (options.preallocatesRam === true) touchMemory(memory);
    this.#memories = new MemoryPair(memory);
    this.#map = new GuestMap(memory, vcpus);
    const { pages } = this.#map;
    this.dirty = new SyntheticDirty({ vcpus, pages, ringEntries, memory: () => this.#memories.current });
    this.#disk = options.disk ? new MachineDisk(options.disk) : null;
    this.#ramBytes = ramBytes;
    this.#devices = createGuestDevices(vcpus, this.#panic.device);
    this.#console = new ConsoleRing(bodyOf(this.#devices.console));
    this.#cells = new MachineCells(vcpus);
    writeWorkload(bodyOf(this.#devices.workload), { workload, seed });
    for (const [vcpu, device] of this.#devices.vcpus.entries()) bootRegisters(bodyOf(device), seed, vcpu);
    this.#threads = this.#startThreads(holds, options.workers ?? new WorkerThreads());
  }

  describe(): MachineDescription {
    return {
      machineName: SYNTHETIC_MACHINE_NAME,
      ramBlocks: this.#memories.current.blocks.map(({ name, bytes }) => ({ name, bytes })),
      vcpus: this.#map.vcpus,
      guest: {
        ticks: this.#cells.ticks,
        pagesChecked: this.#cells.pagesChecked,
        pagesWritten: this.#cells.pagesWritten,
        panic: this.#panic.read(),
        workload: this.#workload(),
        disk: this.#disk === null ? null : this.#cells.disk,
      },
    };
  }

  /**
   * Also waits for the guest's disk, so that no state of the guest changes afterwards.
   * @throws Error if the disk does not answer; the guest continues then, unless the hold was set before.
   */
  async hold(reason: HoldReason): Promise<void> {
    const wasHeld = this.isHeldFor(reason);
    this.#control.addHold(HOLD[reason]);
    await this.#control.whenStopped();
    try {
      await this.#disk?.whenQuiet(() => this.isHeldFor(reason));
    } catch (error) {
      if (!wasHeld) this.#control.removeHold(HOLD[reason]);
      throw error;
    }
  }

  release(reason: HoldReason): void {
    if (reason === 'panic') this.#clearPanic();
    this.#control.removeHold(HOLD[reason]);
  }

  isHeldFor(reason: HoldReason): boolean {
    return (this.#control.holds() & HOLD[reason]) !== 0;
  }

  transferSource(): TransferSource {
    return {
      machineName: SYNTHETIC_MACHINE_NAME,
      memory: this.#memories.current,
      vcpuControl: this.#control.buffer,
      state: { form: 'devices', devices: deviceList(this.#devices) },
    };
  }

  transferTarget(): TransferTarget {
    return this.#targetIn(this.#memories.current);
  }

  loadTarget(): TransferTarget {
    return this.#targetIn(this.#memories.lend());
  }

  discardLoadTarget(): void {
    this.#memories.discard();
  }

  /** The side of the disk for the thread that serves it; null if the guest has no disk. */
  diskAttachment(): DiskAttachment | null {
    return this.#disk?.attachment(this.#control.buffer) ?? null;
  }

  clockNs(): bigint {
    const timer = bodyOf(this.#devices.timer);
    return BigInt(timer.read('ticks')) * BigInt(TICK_MS * 1e6) + BigInt(timer.read('since-tick-us')) * 1000n;
  }

  /** Checks everything before the first change, so that a guest that is refused leaves this one unchanged. */
  adopt({ state }: LoadedMachine): void {
    if (state.form !== 'devices') throw new Error(`a ${this.kind} machine cannot adopt an image`);
    if (!this.#control.waitStopped(ENTRY_MS_MAX)) throw new Error('a machine whose vCPUs run cannot adopt another');
    if (this.#threads.some((thread) => thread.isDead)) throw new Error('a vCPU thread of this machine has died');
    const isLoad = this.#memories.isLent(state.memory);
    if (!isLoad && !this.#memories.isCurrent(state.memory)) {
      throw new Error("the guest lies in memory that is not this machine's");
    }
    this.#disk?.assertQuiet();
    assertBodies(this.#devices, state.bodies, this.#map, this.#ramBytes);
    this.#disk?.reset();
    deviceList(this.#devices).forEach((device, index) => {
      device.body.set(state.bodies[index] ?? []);
    });
    if (isLoad) this.#takeLentMemory();
    this.#takeFigures();
    this.#cells.nextGeneration(isLoad ? 'load' : 'migration');
    this.#adoptPanic();
  }

  console(): string {
    return this.#console.text();
  }

  setWorkload(change: Partial<Workload>): void {
    const body = bodyOf(this.#devices.workload);
    const { workload, seed } = readWorkload(body, this.#ramBytes);
    const { rate = workload.rate, span = workload.span, pattern = workload.pattern } = change;
    const changed = { ...workload, rate, span, pattern };
    assertWorkload(changed, this.#ramBytes);
    writeWorkload(body, { workload: changed, seed });
    this.#cells.nextWorkloadVersion();
    // Wakes vCPUs that sleep until the next page or tick.
    this.#control.addHold(0);
  }

  onPanic(listener: (panic: GuestPanic) => void): void {
    this.#panicListeners.push(listener);
  }

  async close(): Promise<void> {
    this.#control.addHold(HOLD.shutdown);
    this.dirty.close();
    await Promise.all(this.#threads.map((thread) => thread.whenEnded()));
    this.#disk?.close();
  }

  /** The vCPUs must receive the memory before they see the new generation. */
  #takeLentMemory(): void {
    this.#memories.swap();
    for (const thread of this.#threads) thread.sendMemory(this.#memories.current);
  }

  #targetIn(memory: GuestMemory): TransferTarget {
    return { form: 'devices', machineName: SYNTHETIC_MACHINE_NAME, memory, devices: deviceList(this.#devices) };
  }

  /** Booting vCPUs count as running before the first hold is set, so that a hold waits for the end of the boot. */
  #startThreads(holds: readonly HoldReason[], workers: WorkerThreads): VcpuThread[] {
    const boots = !holds.includes('incoming');
    for (let vcpu = 0; boots && vcpu < this.#map.vcpus; vcpu += 1) {
      this.#control.enter();
      this.#cells.setInside(vcpu, true);
    }
    this.#control.addHold(holdBits(holds));
    const { buffer: control } = this.#control;
    const { buffer: cells } = this.#cells;
    const { buffer: panic } = this.#panic;
    const { ringEntries, trace } = this.dirty;
    return this.#devices.vcpus.map((_, vcpu) => {
      const disk = vcpu === 0 ? (this.#disk?.link ?? null) : null;
      const shared = { devices: this.#devices, control, cells, panic, trace: trace.buffer, ringEntries };
      const listener = {
        onPanic: () => this.#reportPanic(),
        onDeath: (detail: string) => this.#onThreadDeath(vcpu, detail),
      };
      return new VcpuThread({ ...shared, vcpu, memory: this.#memories.current, disk, boots }, { listener, workers });
    });
  }

  #onThreadDeath(vcpu: number, detail: string): void {
    if (this.isHeldFor('shutdown')) return;
    this.#panic.write({ kind: 'vcpu-died', address: null, detail: `the thread of vCPU ${vcpu} died: ${detail}` });
    this.#control.addHold(HOLD.panic);
    if (this.#cells.isInside(vcpu)) {
      this.#cells.setInside(vcpu, false);
      this.#control.leave();
    }
    this.#reportPanic();
  }

  #reportPanic(): void {
    const panic = this.#panic.read();
    if (panic === null || this.#isPanicReported) return;
    this.#isPanicReported = true;
    for (const listener of this.#panicListeners) listener(panic);
  }

  /** A guest that has panicked stays stopped; the source has reported its panic. */
  #adoptPanic(): void {
    this.#isPanicReported = this.#panic.adopt();
    if (this.#isPanicReported) this.#control.addHold(HOLD.panic);
    else this.#control.removeHold(HOLD.panic);
  }

  #clearPanic(): void {
    this.#panic.clear();
    this.#isPanicReported = false;
  }

  #takeFigures(): void {
    this.#cells.ticks = bodyOf(this.#devices.timer).read('ticks');
    this.#cells.disk = { ...readDiskRegisters(bodyOf(this.#devices.disk)), isChecked: false };
    this.#devices.vcpus.forEach((device, vcpu) => {
      const body = bodyOf(device);
      this.#cells.setCounts(vcpu, { writes: body.read('writes'), checks: body.read('checks') });
    });
  }

  #workload(): SyntheticWorkload {
    return readWorkload(bodyOf(this.#devices.workload), this.#ramBytes).workload;
  }
}
