import type { CancelOutcome, StatusWord } from './migration/lifecycle.ts';
import type { MigrationStatus } from './migration/status.ts';
import type { TransferErrorCode } from './migration/transfer-errors.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from './ports.ts';
import type { LiveParameters, MigrationFigures } from './settings/declared-settings.ts';

/*
 * The transfer engine as the domain needs it: plans in, figures and an end out. Plans and everything in them cross
 * threads by structured clone.
 */

/** An address of TCP. The optional members are QEMU's options of the same meaning. */
export type TcpAddress = {
  readonly transport: 'tcp';
  /** A name or an address; empty, to listen: every interface. */
  readonly host: string;
  readonly port: number;
  /** Only addresses of this family. */
  readonly family?: 4 | 6;
  /** To listen: the last port to try, where `port` and those behind it are taken. */
  readonly portMax?: number;
  /** False: no probes of an idle connection. */
  readonly keepAlive?: boolean;
  /** Once it is listened on: where, which may be several addresses of a host. */
  readonly bound?: readonly { readonly host: string; readonly port: number }[];
};

/** A descriptor of this process, and the name that --fd or getfd gave it. */
export type FdAddress = { readonly transport: 'fd'; readonly fd: number; readonly name: string };

/** A file below the file root, by its path relative to it. */
export type FileAddress = {
  readonly transport: 'file';
  readonly path: string;
  readonly offset: number;
  /** The file is open already, under this number, and `path` only names it. Who uses the address does not close it. */
  readonly descriptor?: number;
};

/** Where a migration goes to or comes from. */
export type MigrationAddress =
  | TcpAddress
  | { readonly transport: 'unix'; readonly path: string }
  | FileAddress
  | { readonly transport: 'exec'; readonly command: readonly string[] }
  | FdAddress;

/** Longest silence or duration of each phase, in milliseconds, before a migration fails and names the phase. */
export type Deadlines = {
  /** Connecting, or the peer's accepting. */
  readonly connectMs: number;
  /** No byte could be written, or none came, while a stream is under way. */
  readonly stallMs: number;
  /** The target's word after the stream's end. */
  readonly handoverMs: number;
  /** At a target: only what had come before came again. It bounds a sender that never ends. */
  readonly advanceMs: number;
};

export type OutgoingPlan = {
  readonly address: MigrationAddress;
  readonly fileRoot: string;
  readonly source: TransferSource;
  readonly capabilities: readonly string[];
  /** False if the return path is not to be opened. Where the channel has no reverse direction there is none either way. */
  readonly opensReturnPath: boolean;
  readonly parameters: LiveParameters;
  /** False with zero-page-detection `none`: every page is sent as it is. */
  readonly detectsZeroPages: boolean;
  readonly deadlines: Deadlines;
  /** Under which a target that is a vmferry is to know the migration, too; the text form of a uuid. */
  readonly sharedId: string;
  /** Text form; travels in the stream with `validate-uuid`. Null: none was set, and none travels. */
  readonly uuid: string | null;
};

export type IncomingPlan = {
  readonly address: MigrationAddress;
  readonly fileRoot: string;
  readonly target: TransferTarget;
  readonly capabilities: readonly string[];
  readonly deadlines: Deadlines;
  /** What a uuid in the stream has to be; null: none was set, and any is taken. */
  readonly uuid: string | null;
  /** A socket goes on listening after a migration that failed, for the next sender. */
  readonly keepListening: boolean;
};

/** An error that crossed a thread: plain data. */
export type TransferError = { readonly code: TransferErrorCode; readonly message: string };

/** Figures of a pass that ended. */
export type PassFigures = {
  readonly pass: number;
  /** Since the migration's begin; the end of the pass before, or of the set-up. */
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
  readonly guest: GuestOwner;
};

/**
 * Who has the guest. `there`: the target said so, or the file was written to its end. `there, unconfirmed`: the stream
 * was taken to its end, but there was no return path on which the target could have said that it loaded the guest.
 * `unknown`: the connection broke after the handover began; such a guest stays stopped on this side.
 */
export const GUEST_OWNERS = ['here', 'there', 'there, unconfirmed', 'unknown'] as const;
export type GuestOwner = (typeof GUEST_OWNERS)[number];

/** What an engine tells while it works; called on the main thread in the order in which things happened. */
export type TransferListener = {
  status(status: MigrationStatus): void;
  /** A bitmap sync began pass `pass`. */
  pass(pass: number): void;
  passEnded(figures: PassFigures): void;
  /** Both sides are vmferrys and know the migration under this id from now on. */
  shared(id: string): void;
  guestStopped(): void;
  /**
   * The guest stands still and will be handed over: its disks have to be flushed, and given to the target, before this
   * resolves. Called at most once. A rejection, with an error or a TransferError, fails the migration. If the migration
   * does not complete after this call, the guest is left stopped: who listens takes the disks back and lets it go on.
   */
  releaseDisks(): Promise<void>;
  /** The guest runs again (or is paused as it was) after a failure or a cancel. */
  guestResumed(): void;
  /**
   * Target: a connection sent something that is no stream, was turned away, and the address is listened on as before. Of
   * those that come before the next sender only the first is told.
   */
  rejected(error: TransferError): void;
  /** The engine's thread has ended, however it did, and uses nothing of the plan any more. Called once. */
  released(): void;
};

export interface OutgoingTransfer {
  readonly status: StatusWord;
  /** The migration began `agoMs` milliseconds ago: all its times count from that moment. */
  countFrom(agoMs: number): void;
  figures(): MigrationFigures;
  /** Of the operating system; null until the thread has told, or where it cannot be known. */
  threadId(): number | null;
  setParameters(parameters: LiveParameters): void;
  /** Lets a migration in `pre-switchover` go on. */
  continueSwitchover(): void;
  /** Decides at once who wins; `ended` tells when the worker has let go. */
  cancel(): CancelOutcome;
  readonly ended: Promise<MigrationEnd>;
}

export interface IncomingTransfer {
  readonly status: StatusWord;
  /** As in OutgoingTransfer. */
  countFrom(agoMs: number): void;
  figures(): MigrationFigures;
  threadId(): number | null;
  /** Where it listens, once it does: the real port for port 0. Rejects with a TransferError if it cannot. */
  readonly listening: Promise<MigrationAddress>;
  /**
   * Resolves when a machine has been loaded and waits to be adopted. Then `started` must be called when the guest
   * runs, or `refused` if it could not be adopted.
   */
  readonly loaded: Promise<LoadedMachine>;
  /** False once it was given up or has ended: what was loaded may not be adopted any more. */
  readonly isOpen: boolean;
  started(): void;
  refused(error: TransferError): void;
  /** Capabilities that were changed after the listener was started and before a stream came. */
  setCapabilities(capabilities: readonly string[]): void;
  /** Stops listening or loading. */
  abort(): void;
  /** Stops loading, unless the guest has been adopted; a listener that is to be kept is. */
  cancel(): void;
  /** Stops listening unless a sender has come: decides at once. @returns false, and changes nothing, if one has. */
  stopListening(): boolean;
  readonly ended: Promise<IncomingEnd>;
}

export type IncomingEnd = {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error: TransferError | null;
  /** What still listens, after a failure with `keepListening`; to be used or closed in the turn that the end is told in. */
  readonly listener: KeptListener | null;
};

/** A listener whose migration has ended. Exactly one of the two is called, once. */
export type KeptListener = {
  /** The next migration that comes to it. */
  next(plan: IncomingPlan, listener: TransferListener): IncomingTransfer;
  close(): void;
};

export interface TransferEngine {
  startOutgoing(plan: OutgoingPlan, listener: TransferListener): OutgoingTransfer;
  startIncoming(plan: IncomingPlan, listener: TransferListener): IncomingTransfer;
  close(): Promise<void>;
}
