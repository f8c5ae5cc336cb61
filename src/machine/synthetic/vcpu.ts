import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import type { Kernels } from '../../engine/kernels/index.ts';
import { HOLD } from '../../engine/memory/holds.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { VcpuControl } from '../../engine/memory/vcpu-control.ts';
import { ConsoleRing } from './console-ring.ts';
import { GuestFault } from './diagnosis.ts';
import { DirtyMarker } from './dirty-marker.ts';
import { DirtyTrace } from './dirty-trace.ts';
import type { DiskLink } from './disk-driver.ts';
import { bodyOf, type GuestDevices } from './guest-devices.ts';
import { GuestMap } from './guest-map.ts';
import { type GuestPages, segmentKernels } from './guest-pages.ts';
import { GuestWork } from './guest-work.ts';
import { MachineWords } from './machine-words.ts';
import { PanicRecord } from './panic-record.ts';

/** A vCPU with nothing to do sleeps this long at least, and at most: rates stay smooth, and an idle one costs little. */
const PERIOD_MS = 2;
const IDLE_MS_MAX = 50;
/** Running time after which a throttled vCPU has to sleep. */
const THROTTLE_RUN_MS = 10;
/** Pages filled at the start between two looks at whether the machine is closing. */
const FILL_BATCH_PAGES = 1024;

/** What a vCPU's thread is given; all of it shared memory or plain data. */
export type VcpuPlan = {
  readonly vcpu: number;
  /** What it works in at first. */
  readonly memory: GuestMemory;
  /** Brings other memory of the same shape, before a generation that lies in it. */
  readonly memoryPort: MessagePort;
  readonly devices: GuestDevices;
  readonly control: SharedArrayBuffer;
  readonly words: SharedArrayBuffer;
  readonly panic: SharedArrayBuffer;
  /** DirtyTrace of the machine, and the pages that the dirty ring of a vCPU holds; null: there are no rings. */
  readonly trace: SharedArrayBuffer;
  readonly ringEntries: number | null;
  /** The guest's disk; null for all vCPUs but the first, and for a machine without one. */
  readonly disk: DiskLink | null;
  /** True if RAM has to be given its first content; the vCPU counts as running until that is done. */
  readonly boots: boolean;
};

/** One vCPU on a thread of its own: runs in slices while nothing holds it, and stands still otherwise. */
export class Vcpu {
  readonly #plan: VcpuPlan;
  readonly #map: GuestMap;
  #memory: GuestMemory;
  #kernels: readonly Kernels[];
  readonly #control: VcpuControl;
  readonly #words: MachineWords;
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

  /** @param onPanic Called after a finding has been recorded. */
  constructor(plan: VcpuPlan, onPanic: () => void) {
    this.#plan = plan;
    this.#map = new GuestMap(plan.memory, plan.devices.vcpus.length);
    this.#memory = plan.memory;
    this.#kernels = segmentKernels(plan.memory);
    this.#control = new VcpuControl(plan.control);
    this.#words = new MachineWords(this.#map.vcpus, plan.words);
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
      this.#words.setInside(this.#plan.vcpu, true);
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
   * Gives the pages that this vCPU owns their content; the main thread has announced it as running before it was
   * started. Nobody else looks at these pages, so it need not wait for the other vCPUs before it goes on.
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
      this.#words.setInside(vcpu, false);
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

  /** All that is remembered of the guest is void once another one was adopted. */
  #currentWork(): GuestWork {
    const { generation, workloadVersion } = this.#words;
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

  /** The thread sleeps in a futex and runs no event loop, so it fetches what the main thread sent. */
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
    const { origin } = this.#words;
    const shared = { memory: this.#memory, map: this.#map, kernels: this.#kernels, marker: this.#marker };
    return new GuestWork({ ...shared, vcpu, devices, origin, disk });
  }

  /** The registers must be in the devices before the vCPU counts as stopped. */
  #leave(): void {
    const { vcpu } = this.#plan;
    if (this.#work !== null) {
      this.#work.save();
      this.#words.setCounts(vcpu, this.#work.registers);
      const { timer, disk } = this.#work;
      if (timer !== null) this.#words.ticks = timer.ticks;
      if (disk !== null) this.#words.disk = { ...disk.registers, isChecked: disk.isChecked };
    }
    this.#words.setInside(vcpu, false);
    this.#control.leave();
  }

  #standStill(): void {
    const holds = this.#control.holds();
    if ((holds & HOLD.shutdown) === 0 && holds !== 0) this.#control.park(holds);
    // Time that passed in a hold is no guest time, and no work is owed for it.
    this.#lastSliceMs = null;
    this.#throttledMs = 0;
  }

  #stop(panic: GuestPanic): void {
    const isFirst = this.#panic.write(panic);
    this.#control.addHold(HOLD.panic);
    if (isFirst) this.#onPanic();
  }

  /** Ends early if a hold is set, or the workload changes. */
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
