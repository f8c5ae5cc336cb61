import type { BlockNodes } from './block-nodes.ts';
import type { LoadedGuest, MigrationSessions } from './migration-session.ts';

/*
 * The port of a machine: all functions that the domain uses, as plain data and interfaces. The parts that use it
 * (history, verdict, occupancy, events, idempotency and audit) do not depend on the kind of machine. The implementation
 * for machines inside this process is `src/embedded/`.
 */

export type MachineKind = 'synthetic' | 'image' | 'qemu';

export type Workload = {
  /** Bytes dirtied per second by all vCPUs together; 0: idle. */
  readonly rate: number;
  /** Bytes of RAM in which the guest writes. */
  readonly span: number;
  readonly pattern: 'hot' | 'seq' | 'random';
};

/** A fault that the guest's self-check found. */
export type GuestPanic = {
  /** Stable code: lost, torn, stale, misplaced, corrupt, … */
  readonly kind: string;
  /** Guest physical address of the page, in bytes; null if the panic concerns no page. */
  readonly address: number | null;
  readonly detail: string;
};

export type MachineDescription = {
  /** Machine type, as in streams; null for an image that has not adopted a guest. */
  readonly machineName: string | null;
  readonly ramBlocks: readonly { readonly name: string; readonly bytes: number }[];
  readonly vcpus: number;
  /** Only of the synthetic guest. */
  readonly guest: {
    readonly ticks: number;
    readonly pagesChecked: number;
    readonly pagesWritten: number;
    readonly panic: GuestPanic | null;
    readonly workload: Workload;
    /** Blocks of the guest's disk that it wrote and checked, and whether all of it was; null without a disk. */
    readonly disk: { readonly writes: number; readonly checks: number; readonly isChecked: boolean } | null;
  } | null;
};

/** Reasons to stop the vCPUs; they run only while no reason is set. */
export type HoldReason = 'operator' | 'migration' | 'incoming' | 'panic' | 'snapshot' | 'shutdown';

/** Starts and stops the vCPUs. */
export interface RunControl {
  readonly kind: MachineKind;
  /** False for an image: it has no vCPU. */
  readonly canRun: boolean;
  /** True if there is a guest to send: always for a synthetic guest, for an image after it adopted one. */
  readonly isLoaded: boolean;
  /** Sets the reason and resolves when every vCPU stands still. */
  hold(reason: HoldReason): Promise<void>;
  /** Clears the reason; the vCPUs continue if no other is set. */
  release(reason: HoldReason): void;
  isHeldFor(reason: HoldReason): boolean;
}

/** Questions about the guest, and its workload. */
export interface GuestView {
  describe(): MachineDescription;
  /** The guest's clock, nanoseconds of guest time; exact while the guest stands still, 0 for a machine without one. */
  clockNs(): bigint;
  /** Console text, at most the newest 4 KiB; null for a machine without a console. */
  console(): string | null;
  /** Changes the workload of the guest while it runs. @throws DomainError if this machine has none. */
  setWorkload(change: Partial<Workload>): void;
  /** The listener is called at most once per panic, on the main thread. */
  onPanic(listener: (panic: GuestPanic) => void): void;
}

/** The size of a file of device state. */
export type DeviceStateSize = { readonly bytes: number; readonly sections: number };

/** A device state that is being saved. Both promises reject with a TransferError. */
export type DeviceSaving = {
  /** Resolves when the guest may continue. */
  readonly captured: Promise<void>;
  /** Resolves when the file is complete; it replaces a file of that name atomically. */
  readonly written: Promise<DeviceStateSize>;
};

/** Files with the state of a machine's devices only, without RAM and disks; paths are relative to the file root. */
export interface DeviceStateFiles {
  /** The refusal of a path with a symbolic link, which it names; null if no part of the path is a link. */
  refusalOfLink(path: string): string | null;
  /** The guest must stand still until `captured` has resolved. */
  saveDevices(path: string): DeviceSaving;
  /** Reads the state of all devices of the machine; nothing changes before `adopt`. Rejects with a TransferError. */
  loadDevices(path: string): Promise<LoadedGuest>;
}

/** A machine: the part of a host that runs, describes, sends, receives and saves one guest. */
export interface Hypervisor extends RunControl, GuestView, MigrationSessions, DeviceStateFiles {
  /** Measures and limits the memory that the guest dirties. */
  readonly dirty: DirtyPort;
  /** The disks of the guest, and snapshots in them. */
  readonly blocks: BlockNodes;
}

/* Measuring and limiting the memory that a guest dirties. */

export type DirtyRateMode = 'page-sampling' | 'dirty-ring' | 'dirty-bitmap';

export type DirtyRatePlan = {
  readonly mode: DirtyRateMode;
  readonly calcTimeMs: number;
  /** Sampled pages per GiB of RAM; for page-sampling only. */
  readonly samplePages: number;
};

/** The result: bytes of pages that became dirty. How often a page counts depends on the mode. */
export type DirtyRateFigures = {
  /** The real duration of the measurement. */
  readonly elapsedMs: number;
  readonly bytes: number;
  /** By vCPU, in dirty-ring mode; empty in the others. */
  readonly bytesByVcpu: readonly number[];
};

export interface DirtyPort {
  /** Pages in the dirty ring of each vCPU; null for a machine without rings. */
  readonly ringEntries: number | null;
  /**
   * One measurement at a time; a machine without a ring has no dirty-ring mode. Rejects with the reason of the signal
   * when it aborts.
   */
  measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures>;
  /** Limits a vCPU to this many MiB/s; null removes the limit. For a machine with rings. */
  limit(vcpu: number, mibPerSecond: number | null): void;
  /** Bytes/s that each vCPU dirtied in about the last second; zeros if no vCPU is limited. */
  currentRates(): readonly number[];
  /** Share (0 to 1) of about the last second in which its limit stopped each vCPU; zeros if no vCPU is limited. */
  heldShares(): readonly number[];
}
