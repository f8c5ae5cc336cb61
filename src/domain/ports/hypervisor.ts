import type { BlockNodes } from './block-nodes.ts';
import type { LoadedGuest, MigrationSessions } from './migration-session.ts';

/*
 * The one port of a machine: everything that the domain asks of it, as plain data and interfaces. Above the port stand
 * history, verdict, occupancy, events, idempotency and audit; none of them asks which kind of machine is below. The
 * implementation for machines inside this process is `src/embedded/`.
 */

export type MachineKind = 'synthetic' | 'image' | 'qemu';

export type Workload = {
  /** Bytes dirtied in a second, all vCPUs together; 0 is idle. */
  readonly rate: number;
  /** Bytes of RAM that are touched. */
  readonly span: number;
  readonly pattern: 'hot' | 'seq' | 'random';
};

/** A fault that the guest's self-check found. */
export type GuestPanic = {
  /** Stable code: lost, torn, stale, misplaced, corrupt, … */
  readonly kind: string;
  /** Guest physical address of the page, in bytes, or null where no page is concerned. */
  readonly address: number | null;
  readonly detail: string;
};

export type MachineDescription = {
  /** Its type, as streams name it; null before an image has adopted a machine. */
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

/** Why vCPUs stand still; they run only while no reason is set. */
export type HoldReason = 'operator' | 'migration' | 'incoming' | 'panic' | 'snapshot' | 'shutdown';

/** Starts and stops the vCPUs. */
export interface RunControl {
  readonly kind: MachineKind;
  /** False for an image: it has no vCPU. */
  readonly canRun: boolean;
  /** True once there is a guest that can be sent: always for a synthetic guest, for an image after it adopted one. */
  readonly isLoaded: boolean;
  /** Sets the reason and resolves when every vCPU stands still. */
  hold(reason: HoldReason): Promise<void>;
  /** Clears the reason; the vCPUs go on if it was the last. */
  release(reason: HoldReason): void;
  isHeldFor(reason: HoldReason): boolean;
}

/** Questions about the guest, and its workload. */
export interface GuestView {
  describe(): MachineDescription;
  /** The guest's clock, nanoseconds of guest time; exact while it stands still, 0 for a machine without one. */
  clockNs(): bigint;
  /** Console text, the newest 4 KiB at most; null for a machine without one. */
  console(): string | null;
  /** Changes the workload of the guest while it runs. @throws DomainError if this machine has none. */
  setWorkload(change: Partial<Workload>): void;
  /** The listener is called at most once for each panic, on the main thread. */
  onPanic(listener: (panic: GuestPanic) => void): void;
}

/** The size of a file of device state. */
export type DeviceStateSize = { readonly bytes: number; readonly sections: number };

/** A device state that is being saved. Both promises reject with a TransferError. */
export type DeviceSaving = {
  /** Resolves when the guest may go on. */
  readonly captured: Promise<void>;
  /** Resolves when the file is whole; it replaces a file of that name in one step. */
  readonly written: Promise<DeviceStateSize>;
};

/** Files that hold the state of a machine's devices alone, without RAM and disks; paths are relative to the file root. */
export interface DeviceStateFiles {
  /** The refusal of a path that leads over a symbolic link, which it names; null if no part of the path is a link. */
  refusalOfLink(path: string): string | null;
  /** The guest must stand still until `captured` has resolved. */
  saveDevices(path: string): DeviceSaving;
  /** Reads the state of the devices that the machine has; nothing changes before `adopt`. Rejects with a TransferError. */
  loadDevices(path: string): Promise<LoadedGuest>;
}

/** A machine: the part of a host that runs, describes, sends, receives and saves one guest. */
export interface Hypervisor extends RunControl, GuestView, MigrationSessions, DeviceStateFiles {
  /** Measures and limits the memory that the guest dirties. */
  readonly dirty: DirtyPort;
  /** The disks of the guest, and snapshots in them. */
  readonly blocks: BlockNodes;
}

/* What can be measured and limited of the memory that a guest dirties, as the domain needs it from a machine. */

export type DirtyRateMode = 'page-sampling' | 'dirty-ring' | 'dirty-bitmap';

export type DirtyRatePlan = {
  readonly mode: DirtyRateMode;
  readonly calcTimeMs: number;
  /** Pages that are looked at for each GiB of RAM; for page-sampling only. */
  readonly samplePages: number;
};

/** What was found; bytes of pages that became dirty, each as often as the mode sees it. */
export type DirtyRateFigures = {
  /** How long was really looked. */
  readonly elapsedMs: number;
  readonly bytes: number;
  /** By vCPU, in dirty-ring mode; empty in the others. */
  readonly bytesByVcpu: readonly number[];
};

export interface DirtyPort {
  /** Pages that the dirty ring of each vCPU holds; null for a machine without rings. */
  readonly ringEntries: number | null;
  /** One at a time; without a ring never in dirty-ring mode. Rejects with the signal's reason when it aborts. */
  measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures>;
  /** Holds a vCPU to so many MiB/s, or to nothing (null). For a machine with rings. */
  limit(vcpu: number, mibPerSecond: number | null): void;
  /** Bytes/s that each vCPU dirtied in about the last second; zeros while none is limited. */
  currentRates(): readonly number[];
  /** The part of about the last second, 0 to 1, for which its limit let each vCPU write nothing; zeros while none is limited. */
  heldShares(): readonly number[];
}
