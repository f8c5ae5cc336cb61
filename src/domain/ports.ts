import type { DirtyPort } from './dirty-port.ts';
import type { HoldReason } from './machine/holds.ts';

/*
 * What the domain needs from outside, as plain data and interfaces: the machine and the clock. (The store's ports are
 * in store-ports.ts, the transfer engine's in transfer-port.ts.) Everything named `Transfer…` crosses threads by structured clone.
 */

/** A stretch of a RAM block inside one segment of guest memory. All figures in bytes. */
export type RamExtent = {
  /** Index into `GuestMemory.segments`. */
  readonly segment: number;
  /** Where the stretch begins in the segment's memory. */
  readonly address: number;
  /** Where the stretch begins in its RAM block. */
  readonly blockOffset: number;
  readonly bytes: number;
};

/** One RAM block under its stream name, in stretches that follow each other without a gap. */
export type RamBlock = { readonly name: string; readonly bytes: number; readonly extents: readonly RamExtent[] };

/** Guest RAM: shared memories (see engine/memory/layout.ts) and the blocks that lie in them. */
export type GuestMemory = { readonly segments: readonly WebAssembly.Memory[]; readonly blocks: readonly RamBlock[] };

/** A field of a device in VMState form; `bytes` is its whole size on the wire. Integers are big-endian. */
export type DeviceField = {
  readonly name: string;
  readonly type: 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'int64' | 'buffer';
  readonly bytes: number;
};

/**
 * A device whose state lies, in wire form, in shared memory: `body` is its fields one after another, big-endian,
 * kept up to date by the machine whenever its vCPUs stand still.
 */
export type TransferDevice = {
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly fields: readonly DeviceField[];
  readonly body: Uint8Array<SharedArrayBuffer>;
};

/** A whole element of a stream kept as it came: type byte, ids, body and footer. */
export type OpaqueSection = {
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly sectionId: number;
  /** Everything between the version id and the footer. */
  readonly body: Uint8Array;
};

/** What an image keeps of the stream it was made from, so that it can be sent on unchanged. */
export type ImageStream = {
  /** Bytes of the configuration section behind the machine name: its subsections. */
  readonly configurationTail: Uint8Array;
  readonly ramSectionId: number;
  /** True if the stream held SWITCHOVER_START (machine types from 10.0 on). */
  readonly switchoverStart: boolean;
  /** Full sections that came before RAM was complete, then those behind it, each in stream order. */
  readonly earlySections: readonly OpaqueSection[];
  readonly sections: readonly OpaqueSection[];
  /** Text of the vmdescription, or null if the stream had none. */
  readonly vmDescription: Uint8Array | null;
};

/** What an engine needs to send a machine. */
export type TransferSource = {
  /** Machine type name of the configuration section. */
  readonly machineName: string;
  readonly memory: GuestMemory;
  /** VcpuControl words (see engine/memory/vcpu-control.ts), or null for a machine without vCPUs. */
  readonly vcpuControl: SharedArrayBuffer | null;
  readonly state:
    | { readonly form: 'devices'; readonly devices: readonly TransferDevice[] }
    | { readonly form: 'image'; readonly image: ImageStream };
};

/** What an engine needs to receive a machine: a machine that waits for exactly its own kind, or any machine at all. */
export type TransferTarget =
  | {
      readonly form: 'devices';
      readonly machineName: string;
      readonly memory: GuestMemory;
      readonly devices: readonly TransferDevice[];
    }
  | { readonly form: 'image'; readonly ramBytesMax: number };

/** What a target worker has loaded; nothing of it has taken effect until the machine adopts it. */
export type LoadedMachine = {
  /** Run state that the source had before it stopped for the migration: globalstate's text. */
  readonly globalState: string;
  readonly state:
    | {
        readonly form: 'devices';
        /** Bodies in the order of `TransferTarget.devices`. */
        readonly bodies: readonly Uint8Array[];
        /** The target's memory, which RAM was loaded into; a clone of the objects, the same shared memory. */
        readonly memory: GuestMemory;
      }
    | {
        readonly form: 'image';
        readonly machineName: string;
        readonly memory: GuestMemory;
        readonly image: ImageStream;
      };
};

export type MachineKind = 'synthetic' | 'image' | 'qemu';

export type Workload = {
  /** Bytes dirtied in a second, all vCPUs together; 0 is idle. */
  readonly rate: number;
  /** Bytes of RAM that are touched. */
  readonly span: number;
  readonly pattern: 'hot' | 'seq' | 'random';
};

/** What the guest's self-check found. */
export type GuestPanic = {
  /** Stable word: lost, torn, stale, misplaced, corrupt, … */
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

/** The machine that this service owns. */
export interface Machine {
  readonly kind: MachineKind;
  /** False for an image: there is no vCPU that could run. */
  readonly canRun: boolean;
  /** True once there is something to send: always for a synthetic guest, for an image after it adopted one. */
  readonly isLoaded: boolean;
  /** What its guest dirties: to be measured, and limited. */
  readonly dirty: DirtyPort;
  describe(): MachineDescription;
  /** Sets the reason and resolves when every vCPU stands still. */
  hold(reason: HoldReason): Promise<void>;
  /** Clears the reason; vCPUs go on if it was the last. */
  release(reason: HoldReason): void;
  isHeldFor(reason: HoldReason): boolean;
  transferSource(): TransferSource;
  /** For a migration that comes in: RAM goes straight into the machine's own memory, which must not be in use. */
  transferTarget(): TransferTarget;
  /** For a load from a snapshot: memory that is not the running guest's. Ends with `adopt` or `discardLoadTarget`. */
  loadTarget(): TransferTarget;
  /** After a load that failed or was given up: the memory of `loadTarget` is given back. Harmless without one. */
  discardLoadTarget(): void;
  /**
   * Takes over what an engine loaded, for the next vCPU that runs; holds stay as they are. vCPUs must stand still.
   * @throws Error if it cannot be taken over; then the machine is as it was before.
   */
  adopt(loaded: LoadedMachine): void;
  /** The guest's clock, nanoseconds of guest time; exact while it stands still, 0 for a machine without one. */
  clockNs(): bigint;
  /** Console text, the newest 4 KiB at most; null for a machine without one. */
  console(): string | null;
  /** Changes what the guest does while it runs. @throws DomainError if this machine has no workload. */
  setWorkload(change: Partial<Workload>): void;
  /** Called at most once for each panic, on the main thread. */
  onPanic(listener: (panic: GuestPanic) => void): void;
  /** Ends the vCPU threads. */
  close(): Promise<void>;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Monotonic milliseconds. */
  monotonic(): number;
}
