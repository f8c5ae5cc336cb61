import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import type { Kernels } from '../../engine/kernels/kernels.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { HOLD, VcpuControl } from '../../engine/memory/vcpu-control.ts';
import { ConsoleRing } from './device-bodies.ts';
import { DirtyMarker, DirtyTrace } from './dirty-trace.ts';
import type { DiskLink } from './disk-driver.ts';
import { bodyOf, type GuestDevices, PanicRecord } from './guest-devices.ts';
import { GuestMap } from './guest-map.ts';
import { type GuestPages, segmentKernels } from './guest-pages.ts';
import { GuestWork } from './guest-work.ts';
import { MachineCells } from './machine-cells.ts';
import { GuestFault } from './page-diagnosis.ts';

/** Shortest and longest sleep of an idle vCPU: rates stay smooth, and an idle vCPU needs little processor time. */
const PERIOD_MS = 2;
const IDLE_MS_MAX = 50;
/** Running time after which a throttled vCPU sleeps. */
const THROTTLE_RUN_MS = 10;
/** Pages that are filled at the start before the vCPU checks whether the machine closes. */
const FILL_BATCH_PAGES = 1024;

/** Plan of a vCPU's thread: shared memory and plain data. */
export type VcpuPlan = {
  readonly vcpu: number;
  /** The initial memory. */
  readonly memory: GuestMemory;
  /** Receives other memory of the same shape before the generation that uses it. */
  readonly memoryPort: MessagePort;
  readonly devices: GuestDevices;
  readonly control: SharedArrayBuffer;
  readonly cells: SharedArrayBuffer;
  readonly panic: SharedArrayBuffer;
  /** DirtyTrace of the machine, and the entries of the dirty ring of a vCPU; null: no rings. */
  readonly trace: SharedArrayBuffer;
  readonly ringEntries: number | null;
  /** The guest's disk; null for all vCPUs but the first, and for a machine without one. */
  readonly disk: DiskLink | null;
  /** True if the vCPU has to fill its pages; it counts as running until that is done. */
  readonly boots: boolean;
};

/** One vCPU on its own thread: runs in slices, and stops while a hold is set. */
export class Vcpu {
  readonly #plan: VcpuPlan;
  readonly #map: GuestMap;
  #memory: GuestMemory;
  #kernels: readonly Kernels[];
  readonly #control: VcpuControl;
  readonly #cells: MachineCells;
  readonly #panic: PanicRecord;
  readonly #marker: DirtyMarker;
  readonly #onPanic: () => void;
  #work: GuestWork | null = null;
  #isVerified = false;
  #generation = -1;
  #workloadVersion = -1;
  #lastSliceMs: number | null = null;
  #throttledMs = 0;
  #throttleEndMs = 0;

  /** @param onPanic called after a panic was recorded. */
  constructor(plan: VcpuPlan, onPanic: () => void) {
    this.#plan = plan;
    this.#map = new GuestMap(plan.memory, plan.devices.vcpus.length);
    this.#memory = plan.memory;
    this.#kernels = segmentKernels(plan.memory);
    this.#control = new VcpuControl(plan.control);
    this.#cells = new MachineCells(this.#map.vcpus, plan.cells);
    this.#panic = new PanicRecord(plan.panic);
    const trace = new DirtyTrace(this.#map.vcpus, this.#map.pages, plan.trace);
    this.#marker = new DirtyMarker({ trace, vcpu: plan.vcpu, ringEntries: plan.ringEntries });
    this.#onPanic = onPanic;
  }

  /** Returns when the machine closes. */
  run(): void {
    if (this.#plan.boots) this.#boot();
    while ((this.#control.holds() & HOLD.shutdown) === 0) {
      if (!this.#control.enter()) {
        this.#standStill();
        continue;
      }
      this.#cells.setInside(this.#plan.vcpu, true);
      let idleMs = 0;
      try {
        idleMs = this.#slice();
      } catch (error) {
        if (!(error instanceof GuestFault)) throw error;
        this.#stop(error.panic);
      } finally {
        this.#leave();
      }
      this.#sleep(idleMs);
      this.#throttle();
    }
  }

  /**
   * Fills the pages of this vCPU. The main thread has counted it as running before the start. No other vCPU uses these
   * pages, so the vCPUs need not wait for each other.
   */
  #boot(): void {
    const { vcpu } = this.#plan;
    try {
      const { pages } = this.#newWork();
      const owned = this.#map.ownedPages(vcpu);
      for (let index = 0; index < owned; index += 1) {
        if (index % FILL_BATCH_PAGES === 0 && (this.#control.holds() & HOLD.shutdown) !== 0) return;
        pages.fill(this.#map.ownedPage(vcpu, index));
      }
      if (vcpu === 0) this.#bootFirst(pages);
    } finally {
      this.#cells.setInside(vcpu, false);
      this.#control.leave();
    }
  }

  #bootFirst(guestPages: GuestPages): void {
    guestPages.writeBootPage();
    const { pages, vcpus } = this.#map;
    const console = new ConsoleRing(bodyOf(this.#plan.devices.console));
    console.print(`vmferry synthetic guest: ${(pages * PAGE_BYTES) / 2 ** 20} MiB of RAM, vCPUs: ${vcpus}\n`);
  }

  #slice(): number {
    const startMs = performance.now();
    const elapsedMs = startMs - (this.#lastSliceMs ?? startMs);
    const workedMs = Math.max(0, elapsedMs - this.#throttledMs);
    this.#lastSliceMs = startMs;
    this.#throttledMs = 0;
    const work = this.#currentWork();
    const dueMs = work.slice(startMs, elapsedMs, workedMs);
    if (dueMs === 0) return 0;
    return Math.max(PERIOD_MS - (performance.now() - startMs), Math.min(dueMs, IDLE_MS_MAX));
  }

  /** The work of the present generation; a new one after another guest was adopted. */
  #currentWork(): GuestWork {
    const { generation, workloadVersion } = this.#cells;
    if (this.#work === null || this.#generation !== generation) {
      this.#takeMemory();
      this.#work = this.#newWork();
      this.#generation = generation;
      this.#isVerified = false;
    } else if (this.#workloadVersion !== workloadVersion) {
      this.#work.takeWorkload();
    }
    this.#workloadVersion = workloadVersion;
    if (!this.#isVerified) this.#work.verify();
    this.#isVerified = true;
    return this.#work;
  }

  /** Fetches memory from the port, because the thread has no event loop. */
  #takeMemory(): void {
    const { memoryPort } = this.#plan;
    for (let next = receiveMessageOnPort(memoryPort); next !== undefined; next = receiveMessageOnPort(memoryPort)) {
      this.#memory = next.message;
      this.#kernels = [];
    }
    if (this.#kernels.length === 0) this.#kernels = segmentKernels(this.#memory);
  }

  #newWork(): GuestWork {
    const { vcpu, devices, disk } = this.#plan;
    const { origin } = this.#cells;
    const shared = { memory: this.#memory, map: this.#map, kernels: this.#kernels, marker: this.#marker };
    return new GuestWork({ ...shared, vcpu, devices, origin, disk });
  }

  /** Saves the registers to the devices, and then stops counting as running. */
  #leave(): void {
    const { vcpu } = this.#plan;
    if (this.#work !== null) {
      this.#work.save();
      this.#cells.setCounts(vcpu, this.#work.registers);
      const { timer, disk } = this.#work;
      if (timer !== null) this.#cells.ticks = timer.ticks;
      if (disk !== null) this.#cells.disk = { ...disk.registers, isChecked: disk.isChecked };
    }
    this.#cells.setInside(vcpu, false);
    this.#control.leave();
  }

  #standStill(): void {
    const holds = this.#control.holds();
    if ((holds & HOLD.shutdown) === 0 && holds !== 0) this.#control.park(holds);
    // Time in a hold is not guest time, and no work is due for it.
    this.#lastSliceMs = null;
    this.#throttledMs = 0;
  }

  #stop(panic: GuestPanic): void {
    const isFirst = this.#panic.write(panic);
    this.#control.addHold(HOLD.panic);
    if (isFirst) this.#onPanic();
  }

  /** Ends early when a hold is set or the workload changes. */
  #sleep(milliseconds: number): void {
    if (milliseconds > 0) this.#control.park(0, milliseconds);
  }

  #throttle(): void {
    const share = this.#control.throttlePercent / 100;
    const startMs = performance.now();
    if (share <= 0 || startMs - this.#throttleEndMs < THROTTLE_RUN_MS) return;
    const endMs = startMs + (THROTTLE_RUN_MS * share) / (1 - share);
    for (let leftMs = endMs - startMs; leftMs > 0; leftMs = endMs - performance.now()) {
      if (this.#control.holds() !== 0) break;
      this.#control.park(0, leftMs);
    }
    this.#throttleEndMs = performance.now();
    this.#throttledMs += this.#throttleEndMs - startMs;
  }
}
