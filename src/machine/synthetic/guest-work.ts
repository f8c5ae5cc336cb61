import type { Kernels } from '../../engine/kernels/kernels.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { ConsoleRing, type DeviceBody, GuestTimer } from './device-bodies.ts';
import type { DirtyMarker } from './dirty-trace.ts';
import { type DiskLink, DiskWork } from './disk-driver.ts';
import type { GuestOrigin } from './disk-program.ts';
import { bodyOf, type GuestDevices } from './guest-devices.ts';
import type { GuestMap } from './guest-map.ts';
import { DirtyLogGate, GuestPages } from './guest-pages.ts';
import {
  Pacer,
  pickPage,
  type Registers,
  readRegisters,
  readWorkload,
  SWEEP_EXTRAS,
  type SyntheticWorkload,
  writeRegisters,
} from './guest-workload.ts';
import { diagnoseSum, GuestFault } from './page-diagnosis.ts';

/** Longest time before a vCPU checks whether it has to stop. */
const SLICE_MS = 1;
/** Part of a slice for writes, so that checks continue even if the rate cannot be reached. */
const WRITING_MS = 0.8;
const BATCH_PAGES = 16;
const CHECK_DEBT_MS_MAX = 100;

/** Bytes/s of the sweep for all vCPUs together, with `check: auto`. */
const CHECK_RATE_BUSY = 64 * 2 ** 20;
const CHECK_RATE_IDLE = 8 * 2 ** 20;
/** Least bytes/s of the first sweep after a start or a migration, so that faults are found within seconds. */
const CHECK_RATE_FIRST = 256 * 2 ** 20;

export type GuestWorkOptions = {
  readonly vcpu: number;
  readonly memory: GuestMemory;
  readonly kernels: readonly Kernels[];
  readonly map: GuestMap;
  readonly devices: GuestDevices;
  readonly origin: GuestOrigin;
  /** Counts and limits the dirty pages of this vCPU. */
  readonly marker: DirtyMarker;
  /** For vCPU 0 of a machine that has a disk. */
  readonly disk: DiskLink | null;
};

/**
 * The work and the state of one vCPU: it writes its pages at the workload's rate, checks each page before it overwrites
 * it, and checks all of its pages in a sweep at a steady rate. vCPU 0 also drives timer and disk. `save` stores the
 * registers in the devices after a slice. Throws GuestFault if RAM or disk are not as expected.
 */
export class GuestWork {
  readonly pages: GuestPages;
  readonly registers: Registers;
  readonly timer: GuestTimer | null;
  readonly disk: DiskWork | null;
  readonly #vcpu: number;
  readonly #map: GuestMap;
  readonly #ownedPages: number;
  readonly #workloadBody: DeviceBody;
  readonly #registersBody: DeviceBody;
  readonly #marker: DirtyMarker;
  readonly #writePacer = new Pacer();
  readonly #checkPacer = new Pacer(CHECK_DEBT_MS_MAX);
  #workload: SyntheticWorkload;
  #spanPages = 0;
  #firstSweepLeft: number;

  /** @throws RangeError if the devices hold no guest. */
  constructor({ vcpu, memory, kernels, map, devices, origin, marker, disk: link }: GuestWorkOptions) {
    const device = devices.vcpus[vcpu];
    const [first] = kernels;
    if (device === undefined || first === undefined) throw new RangeError(`there is no vCPU ${vcpu}`);
    this.#vcpu = vcpu;
    this.#map = map;
    this.#marker = marker;
    this.#ownedPages = map.ownedPages(vcpu);
    this.#workloadBody = bodyOf(devices.workload);
    this.#registersBody = bodyOf(device);
    this.registers = readRegisters(this.#registersBody, this.#ownedPages);
    const { workload, seed } = readWorkload(this.#workloadBody, map.pages * PAGE_BYTES);
    this.#workload = workload;
    const gate = new DirtyLogGate({ kernels, map, marker });
    this.pages = new GuestPages({ memory, kernels, map, identity: { seed, fill: workload.fill }, gate });
    const console = new ConsoleRing(bodyOf(devices.console));
    const body = bodyOf(devices.disk);
    const diskOptions = { body, memory, kernels: first, map, gate, console, link, origin, seed };
    this.timer = vcpu === 0 ? new GuestTimer(bodyOf(devices.timer), console) : null;
    this.disk = vcpu === 0 ? new DiskWork(diskOptions) : null;
    this.#firstSweepLeft = this.#sweepItems;
    this.takeWorkload();
  }

  /** Reads the workload again. */
  takeWorkload(): void {
    const { workload } = readWorkload(this.#workloadBody, this.#map.pages * PAGE_BYTES);
    this.#workload = workload;
    this.#spanPages = this.#map.ownedPages(this.#vcpu, this.#map.spanPages(workload.span));
    this.#writePacer.pagesPerMs = this.#spanPages === 0 ? 0 : this.#pagesPerMs(workload.rate);
    this.#checkPacer.pagesPerMs = this.#pagesPerMs(this.#checkRate());
  }

  /** Checks boot page and ledger before a guest runs that was booted or adopted. */
  verify(): void {
    if (this.#vcpu === 0) this.pages.checkBootPage();
    this.disk?.checkLedger();
    const sum = this.pages.ledgerSum(this.#vcpu);
    const { writes } = this.registers;
    if (sum !== writes) throw new GuestFault(diagnoseSum(this.#vcpu, writes, sum));
  }

  /**
   * Works for about a millisecond at most.
   * @param elapsedMs guest time since the last slice; `workedMs`: without the time of a throttle.
   * @returns milliseconds until the next slice is useful.
   */
  slice(startMs: number, elapsedMs: number, workedMs: number): number {
    this.timer?.advance(elapsedMs);
    const diskDueMs = this.disk?.advance(elapsedMs, this.#workload.rate > 0) ?? Number.POSITIVE_INFINITY;
    this.#marker.advance(startMs, workedMs);
    let writes = this.#writePacer.advance(workedMs);
    while (writes > 0 && !this.#marker.isAtLimit) {
      const batch = Math.min(writes, BATCH_PAGES);
      for (let page = 0; page < batch; page += 1) this.#writeNext();
      this.#writePacer.done(batch);
      writes -= batch;
      if (performance.now() - startMs > WRITING_MS) break;
    }
    if (writes > 0 && this.#marker.isAtLimit) this.#marker.holdBack();
    let checks = this.#checkPacer.advance(workedMs);
    while (checks > 0 && performance.now() - startMs < SLICE_MS) {
      const batch = Math.min(checks, BATCH_PAGES);
      for (let item = 0; item < batch; item += 1) this.#checkNext();
      this.#checkPacer.done(batch);
      checks -= batch;
    }
    const writesDueMs = writes > 0 ? this.#marker.untilDueMs : this.#writePacer.untilDueMs;
    return Math.min(writesDueMs, diskDueMs, this.timer?.untilTickMs ?? Number.POSITIVE_INFINITY);
  }

  save(): void {
    writeRegisters(this.#registersBody, this.registers);
    this.timer?.save();
    this.disk?.save();
  }

  #writeNext(): void {
    const { registers } = this;
    const page = this.#map.ownedPage(this.#vcpu, pickPage(registers, this.#workload.pattern, this.#spanPages));
    const seq = this.pages.check(page, registers.writes) + 1;
    registers.checks += 1;
    this.pages.write(page, seq);
    registers.writes += 1;
  }

  #checkNext(): void {
    const { registers } = this;
    const item = registers.sweep;
    if (item < this.#ownedPages) this.pages.check(this.#map.ownedPage(this.#vcpu, item), registers.writes);
    else if (item === this.#ownedPages) this.pages.checkBootPage();
    else if (item === this.#ownedPages + 1) this.pages.checkUnusedLedger();
    else this.disk?.checkLedger();
    registers.checks += 1;
    registers.sweep = item + 1 < this.#sweepItems ? item + 1 : 0;
    if (this.#firstSweepLeft === 0) return;
    this.#firstSweepLeft -= 1;
    if (this.#firstSweepLeft === 0) this.#checkPacer.pagesPerMs = this.#pagesPerMs(this.#checkRate());
  }

  get #sweepItems(): number {
    return this.#ownedPages + (this.#vcpu === 0 ? SWEEP_EXTRAS : 0);
  }

  #checkRate(): number {
    const { check, rate } = this.#workload;
    if (check === 0) return 0;
    const steady = check === 'auto' ? (rate > 0 ? CHECK_RATE_BUSY : CHECK_RATE_IDLE) : check;
    return this.#firstSweepLeft > 0 ? Math.max(steady, CHECK_RATE_FIRST) : steady;
  }

  #pagesPerMs(bytesPerSecond: number): number {
    return bytesPerSecond / PAGE_BYTES / 1000 / this.#map.vcpus;
  }
}
