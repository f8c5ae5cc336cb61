import type { CancelOutcome, MigrationStatus } from '../migration/migration-status.ts';
import type { LiveParameters, MigrationFigures } from '../settings/declared-settings.ts';
import type { TransferErrorCode } from './transfer-errors.ts';

/*
 * Migrations as the domain sees them: a request starts a session, which has controls, figures, events and an end.
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

/** A migration that goes out, as the domain asks for it. */
export type OutgoingRequest = {
  readonly address: MigrationAddress;
  readonly capabilities: readonly string[];
  /** False if the return path is not to be opened. Where the channel has no reverse direction there is none either way. */
  readonly opensReturnPath: boolean;
  readonly parameters: LiveParameters;
  /** False with zero-page-detection `none`: every page is sent as it is. */
  readonly detectsZeroPages: boolean;
  readonly deadlines: Deadlines;
  /** The id that a target which is a vmferry takes over too; text form of a uuid. */
  readonly sharedId: string;
  /** Text form; travels in the stream with `validate-uuid`. Null: none was set, and none travels. */
  readonly uuid: string | null;
};

/** A migration that comes in, as the domain asks for it. */
export type IncomingRequest = {
  readonly address: MigrationAddress;
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

/** Events of a session; called on the main thread in the order in which they happened. */
export type TransferListener = {
  status(status: MigrationStatus): void;
  /** A bitmap sync began pass `pass`. */
  pass(pass: number): void;
  passEnded(figures: PassFigures): void;
  /** Both sides are vmferrys and know the migration under this id from now on. */
  shared(id: string): void;
  /** With the capability dirty-limit: every vCPU is to be limited to `vcpu-dirty-limit` until the migration ends. */
  limitVcpus(): void;
  guestStopped(): void;
  /**
   * The guest stands still and will be handed over: its disks have to be flushed, and given to the target, before this
   * resolves. Called at most once. A rejection, with an error or a TransferError, fails the migration. If the migration
   * does not complete after this call, the guest is left stopped: the listener activates the disks and continues it.
   */
  releaseDisks(): Promise<void>;
  /** The guest runs again (or is paused as it was) after a failure or a cancel. */
  guestResumed(): void;
  /**
   * Target: a connection sent something that is no stream, was turned away, and the address is listened on as before. Of
   * those that come before the next sender only the first is told.
   */
  rejected(error: TransferError): void;
  /** The session has ended, in any way, and uses nothing of the request any more. Called once. */
  released(): void;
};

/** The shared status of a session, which its threads may change at any time. */
export type SessionStatus = {
  read(): MigrationStatus;
  /** True from the moment when the target may own the guest. */
  isHandedOver(): boolean;
};

/** An outgoing migration. */
export interface OutgoingSession {
  readonly status: SessionStatus;
  /** The migration began `agoMs` milliseconds ago: all its times count from that moment. */
  countFrom(agoMs: number): void;
  figures(): MigrationFigures;
  /** Id of the migration's thread in the operating system; null before it is known, or if it cannot be. */
  threadId(): number | null;
  setParameters(parameters: LiveParameters): void;
  /** Lets a migration in `pre-switchover` go on. */
  continueSwitchover(): void;
  /** Decides at once; `ended` resolves when the cancelled migration has released the guest. */
  cancel(): CancelOutcome;
  readonly ended: Promise<MigrationEnd>;
}

/** A guest that was loaded; nothing of it has taken effect before `adopt`. */
export type LoadedGuest = {
  /** Run state that the guest had at its source before it was stopped: globalstate's text. */
  readonly globalState: string;
  /**
   * The machine takes over this guest, for the next vCPU that runs; holds stay as they are. The vCPUs must stand still.
   * @throws Error if it cannot take it over; then the machine is as it was before.
   */
  adopt(): void;
};

/** An incoming migration, from its listener to its end. */
export interface IncomingSession {
  readonly status: SessionStatus;
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
  readonly loaded: Promise<LoadedGuest>;
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
  /** The listener that is left after a failure with `keepListening`; to be used or closed in the same turn. */
  readonly listener: KeptListener | null;
};

/** A listener whose migration has ended. Exactly one of the two is called, once. */
export type KeptListener = {
  /** The next migration that comes to it. */
  next(request: IncomingRequest, listener: TransferListener): IncomingSession;
  close(): void;
};

export interface MigrationSessions {
  startOutgoing(request: OutgoingRequest, listener: TransferListener): OutgoingSession;
  startIncoming(request: IncomingRequest, listener: TransferListener): IncomingSession;
}
