import type { CancelOutcome, StatusWord } from './migration/lifecycle.ts';
import type { MigrationStatus } from './migration/status.ts';

/*
 * What the domain needs from outside, as plain data and interfaces: the machine, the transfer engine, the clock.
 * (The store's ports are in store-ports.ts.) Everything named `Transfer…` crosses threads by structured clone.
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
      }
    | {
        readonly form: 'image';
        readonly machineName: string;
        readonly memory: GuestMemory;
        readonly image: ImageStream;
      };
};

/** Why vCPUs stand still; a bit each, and they run only while none is set. */
export const HOLD = { operator: 1, migration: 2, incoming: 4, panic: 8, snapshot: 16, shutdown: 32 } as const;
export type HoldReason = keyof typeof HOLD;

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
  readonly ramBlocks: readonly { readonly name: string; readonly bytes: number }[];
  readonly vcpus: number;
  /** Only of the synthetic guest. */
  readonly guest: {
    readonly ticks: number;
    readonly pagesChecked: number;
    readonly pagesWritten: number;
    readonly panic: GuestPanic | null;
    readonly workload: Workload;
  } | null;
};

/** The machine that this service owns. */
export interface Machine {
  readonly kind: MachineKind;
  /** False for an image: there is no vCPU that could run. */
  readonly canRun: boolean;
  /** True once there is something to send: always for a synthetic guest, for an image after it adopted one. */
  readonly isLoaded: boolean;
  describe(): MachineDescription;
  /** Sets the reason and resolves when every vCPU stands still. */
  hold(reason: HoldReason): Promise<void>;
  /** Clears the reason; vCPUs go on if it was the last. */
  release(reason: HoldReason): void;
  isHeldFor(reason: HoldReason): boolean;
  transferSource(): TransferSource;
  transferTarget(): TransferTarget;
  /** Takes over what an engine loaded. vCPUs stay held for `incoming` until it is released. */
  adopt(loaded: LoadedMachine): void;
  /** Console text, the newest 4 KiB at most; null for a machine without one. */
  console(): string | null;
  /** Changes what the guest does while it runs. @throws DomainError if this machine has no workload. */
  setWorkload(change: Partial<Workload>): void;
  /** Called at most once for each panic, on the main thread. */
  onPanic(listener: (panic: GuestPanic) => void): void;
  /** Ends the vCPU threads. */
  close(): Promise<void>;
}

/** Where a migration goes to or comes from. */
export type MigrationAddress =
  | { readonly transport: 'tcp'; readonly host: string; readonly port: number }
  | { readonly transport: 'unix'; readonly path: string }
  | { readonly transport: 'file'; readonly path: string; readonly offset: number }
  | { readonly transport: 'exec'; readonly command: readonly string[] }
  | { readonly transport: 'fd'; readonly fd: number };

/** Parameters that an engine obeys while it runs. 64-bit values are clamped to 2^53 - 1, which no link exceeds. */
export type LiveParameters = {
  /** Bytes/s; 0 is unlimited. */
  readonly maxBandwidth: number;
  /** Bytes/s assumed at the switchover; 0: what was measured. */
  readonly availSwitchoverBandwidth: number;
  readonly downtimeLimitMs: number;
};

/** Longest silence or duration of each phase, in milliseconds, before a migration fails and names the phase. */
export type Deadlines = {
  /** Connecting, or the peer's accepting. */
  readonly connectMs: number;
  /** No byte could be written, or none came, while a stream is under way. */
  readonly stallMs: number;
  /** The target's word after the stream's end. */
  readonly handoverMs: number;
};

export type OutgoingPlan = {
  readonly address: MigrationAddress;
  readonly fileRoot: string;
  readonly source: TransferSource;
  readonly capabilities: readonly string[];
  readonly parameters: LiveParameters;
  readonly deadlines: Deadlines;
  /** Text form; travels in the stream with `validate-uuid`. */
  readonly uuid: string;
};

export type IncomingPlan = {
  readonly address: MigrationAddress;
  readonly fileRoot: string;
  readonly target: TransferTarget;
  readonly capabilities: readonly string[];
  readonly deadlines: Deadlines;
  readonly uuid: string;
};

/** An error that crossed a thread: plain data. */
export type TransferError = { readonly code: string; readonly message: string };

/** Figures of a migration, all numbers exact below 2^53. Times in milliseconds of the monotonic clock. */
export type MigrationFigures = {
  /** Grows with every visible change. */
  readonly revision: number;
  readonly setupTimeMs: number;
  readonly totalTimeMs: number;
  readonly downtimeMs: number;
  readonly expectedDowntimeMs: number;
  readonly transferredBytes: number;
  readonly remainingBytes: number;
  readonly totalBytes: number;
  readonly duplicatePages: number;
  readonly normalPages: number;
  readonly dirtyPagesRate: number;
  /** 10^6 bit/s. */
  readonly mbps: number;
  readonly pagesPerSecond: number;
  readonly dirtySyncCount: number;
  readonly precopyBytes: number;
  readonly downtimeBytes: number;
  readonly cpuThrottlePercentage: number;
  /** Bytes/s measured over the last window; 0 before the first has ended. */
  readonly bandwidth: number;
  /** Dirty bytes found by the newest sync. */
  readonly dirtyBytesAtSync: number;
};

/** Figures of a pass that ended. */
export type PassFigures = {
  readonly pass: number;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly sentBytes: number;
  readonly normalPages: number;
  readonly duplicatePages: number;
  /** Bytes that the sync at its end found dirty. */
  readonly dirtyBytes: number;
};

export type MigrationEnd = {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error: TransferError | null;
  /**
   * Who has the guest: `here`, `there`, or `unknown` if the connection broke after the handover began. A guest whose
   * owner is unknown stays stopped on this side.
   */
  readonly guest: 'here' | 'there' | 'unknown';
};

/** What an engine tells while it works; called on the main thread in the order in which things happened. */
export type TransferListener = {
  status(status: MigrationStatus): void;
  /** A bitmap sync began pass `pass`. */
  pass(pass: number): void;
  passEnded(figures: PassFigures): void;
  guestStopped(): void;
  /** The guest runs again (or is paused as it was) after a failure or a cancel. */
  guestResumed(): void;
};

export interface OutgoingTransfer {
  readonly status: StatusWord;
  figures(): MigrationFigures;
  setParameters(parameters: LiveParameters): void;
  /** Lets a migration in `pre-switchover` go on. */
  continueSwitchover(): void;
  /** Decides at once who wins; `ended` tells when the worker has let go. */
  cancel(): CancelOutcome;
  readonly ended: Promise<MigrationEnd>;
}

export interface IncomingTransfer {
  readonly status: StatusWord;
  figures(): MigrationFigures;
  /** Where it listens, once it does: the real port for port 0. Rejects with a TransferError if it cannot. */
  readonly listening: Promise<MigrationAddress>;
  /**
   * Resolves when a machine has been loaded and waits to be adopted. Then `started` must be called when the guest
   * runs, or `refused` if it could not be adopted.
   */
  readonly loaded: Promise<LoadedMachine>;
  started(): void;
  refused(error: TransferError): void;
  /** Capabilities that were changed after the listener was started and before a stream came. */
  setCapabilities?(capabilities: readonly string[]): void;
  /** Stops listening or loading. */
  abort(): void;
  readonly ended: Promise<{ readonly status: 'completed' | 'failed'; readonly error: TransferError | null }>;
}

export interface TransferEngine {
  startOutgoing(plan: OutgoingPlan, listener: TransferListener): OutgoingTransfer;
  startIncoming(plan: IncomingPlan, listener: TransferListener): IncomingTransfer;
  close(): Promise<void>;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. */
  now(): number;
  /** Monotonic milliseconds. */
  monotonic(): number;
}
