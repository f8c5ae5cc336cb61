import type { CancelOutcome, MigrationStatus } from '../migration/migration-status.ts';
import type { LiveParameters, MigrationFigures } from '../settings/declared-settings.ts';
import type { TransferErrorCode } from './transfer-errors.ts';

/* Migrations: a request starts a session, which has controls, figures, events and an end. */

/** An address of TCP. The optional members are QEMU's options of the same meaning. */
export type TcpAddress = {
  readonly transport: 'tcp';
  /** A name or an address; empty when listening: every interface. */
  readonly host: string;
  readonly port: number;
  /** Only addresses of this family. */
  readonly family?: 4 | 6;
  /** To listen: the last port to try if earlier ones are taken. */
  readonly portMax?: number;
  /** False: the connection has no keep-alive probes. */
  readonly keepAlive?: boolean;
  /** The bound addresses, once it listens. */
  readonly bound?: readonly { readonly host: string; readonly port: number }[];
};

/** A descriptor of this process, and the name that --fd or getfd gave it. */
export type FdAddress = { readonly transport: 'fd'; readonly fd: number; readonly name: string };

/** A file below the file root, by its path relative to it. */
export type FileAddress = {
  readonly transport: 'file';
  readonly path: string;
  readonly offset: number;
  /** A descriptor that is already open; `path` only names it. Users of the address do not close it. */
  readonly descriptor?: number;
};

/** The target or the source of a migration. */
export type MigrationAddress =
  | TcpAddress
  | { readonly transport: 'unix'; readonly path: string }
  | FileAddress
  | { readonly transport: 'exec'; readonly command: readonly string[] }
  | FdAddress;

/** Time limits, in milliseconds. A migration that exceeds one fails, and its error names the phase. */
export type Deadlines = {
  /** Longest time to connect, or until the peer accepts. */
  readonly connectMs: number;
  /**
   * Longest time in which the peer takes nothing, sends no switchover-ack, or (at a target) no whole element arrives.
   */
  readonly stallMs: number;
  /** Longest time until the target's answer after the end of the stream. */
  readonly handoverMs: number;
  /** At a target: longest time in which only repeated content arrives. */
  readonly advanceMs: number;
};

/** An outgoing migration to start. */
export type OutgoingRequest = {
  readonly address: MigrationAddress;
  readonly capabilities: readonly string[];
  /** False: no return path is opened. A channel without reverse direction never has one. */
  readonly opensReturnPath: boolean;
  readonly parameters: LiveParameters;
  /** False with zero-page-detection `none`: every page is sent in full. */
  readonly detectsZeroPages: boolean;
  readonly deadlines: Deadlines;
  /** The id that a target of vmferry adopts; text form of a uuid. */
  readonly sharedId: string;
  /** Text form of the uuid that is sent with `validate-uuid`. Null: none is set, and none is sent. */
  readonly uuid: string | null;
};

/** An incoming migration to start. */
export type IncomingRequest = {
  readonly address: MigrationAddress;
  readonly capabilities: readonly string[];
  readonly deadlines: Deadlines;
  /** The uuid that a stream must have if it has one; null: any. */
  readonly uuid: string | null;
  /** True: a socket stays open for the next sender after a failure. */
  readonly keepListening: boolean;
};

/** An error from another thread, as plain data. */
export type TransferError = { readonly code: TransferErrorCode; readonly message: string };

/** Figures of a pass that ended. */
export type PassFigures = {
  readonly pass: number;
  /** Since the start of the migration: the end of the pass before, or of the set-up. */
  readonly startedMs: number;
  readonly durationMs: number;
  readonly sentBytes: number;
  readonly normalPages: number;
  readonly duplicatePages: number;
  /** Bytes that were dirty at the sync that ended the pass. */
  readonly dirtyBytes: number;
};

export type MigrationEnd = {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error: TransferError | null;
  readonly guest: GuestOwner;
};

/**
 * The owner of the guest. `there`: the target confirmed it, or the file was written completely. `there, unconfirmed`:
 * the whole stream was sent, but without a return path the target could not confirm that it loaded the guest.
 * `unknown`: the connection broke after the handover began; such a guest stays stopped on this side.
 */
export const GUEST_OWNERS = ['here', 'there', 'there, unconfirmed', 'unknown'] as const;
export type GuestOwner = (typeof GUEST_OWNERS)[number];

/** Events of a session, called on the main thread in the order in which they happened. */
export type TransferListener = {
  status(status: MigrationStatus): void;
  /** A bitmap sync began pass `pass`. */
  pass(pass: number): void;
  passEnded(figures: PassFigures): void;
  /** Both sides are vmferry and use this id for the migration from now on. */
  shared(id: string): void;
  /** With the capability dirty-limit: limits every vCPU to `vcpu-dirty-limit` until the migration ends. */
  limitVcpus(): void;
  guestStopped(): void;
  /**
   * The guest is stopped and will be handed over. Before this resolves, its disks must be flushed and released for the
   * target. Called at most once. A rejection, with an error or a TransferError, fails the migration. If the migration
   * does not complete after this call, the guest stays stopped: the listener activates the disks and continues it.
   */
  releaseDisks(): Promise<void>;
  /** The guest has its earlier state again, running or paused, after a failure or a cancel. */
  guestResumed(): void;
  /**
   * Target: a connection that sent no migration stream was closed; the address is still listened on. Only the first one
   * before a sender is reported.
   */
  rejected(error: TransferError): void;
  /** The session has ended and does not use the request any more. Called once. */
  released(): void;
};

/** The shared status of a session, which its threads may change at any time. */
export type SessionStatus = {
  read(): MigrationStatus;
  /** True if the target may have the guest. */
  isHandedOver(): boolean;
};

/** An outgoing migration. */
export interface OutgoingSession {
  readonly status: SessionStatus;
  /** Sets the start of the migration to `agoMs` ms ago. */
  countFrom(agoMs: number): void;
  figures(): MigrationFigures;
  /** Id of the migration's thread in the operating system; null if it is not known (yet). */
  threadId(): number | null;
  setParameters(parameters: LiveParameters): void;
  /** Continues a migration in `pre-switchover`. */
  continueSwitchover(): void;
  /** Decides immediately; `ended` resolves when the cancelled migration has released the guest. */
  cancel(): CancelOutcome;
  readonly ended: Promise<MigrationEnd>;
}

/** A loaded guest; it has no effect before `adopt`. */
export type LoadedGuest = {
  /** Text of globalstate: the run state of the guest at its source before it was stopped. */
  readonly globalState: string;
  /**
   * The machine takes over this guest; holds do not change. The vCPUs must stand still.
   * @throws Error if the machine cannot take it over; then the machine is unchanged.
   */
  adopt(): void;
};

/** An incoming migration, from its listener to its end. */
export interface IncomingSession {
  readonly status: SessionStatus;
  /** As in OutgoingSession. */
  countFrom(agoMs: number): void;
  figures(): MigrationFigures;
  threadId(): number | null;
  /**
   * The bound address, once it listens, with the real port for port 0. Rejects with a TransferError if it cannot
   * listen.
   */
  readonly listening: Promise<MigrationAddress>;
  /**
   * Resolves when a guest has been loaded and waits to be adopted. Then the caller must call `started` when the guest
   * runs, or `refused` if it could not be adopted.
   */
  readonly loaded: Promise<LoadedGuest>;
  /** False after `abort`, `cancel` or the end: then nothing may be adopted. */
  readonly isOpen: boolean;
  started(): void;
  refused(error: TransferError): void;
  /** Sets capabilities that were changed after the listener was started and before a stream came. */
  setCapabilities(capabilities: readonly string[]): void;
  /** Stops listening or loading. */
  abort(): void;
  /** Stops loading unless the guest was adopted. A kept listener stays open. */
  cancel(): void;
  /** Stops listening if no sender has come. @returns false, without effect, if one has. */
  stopListening(): boolean;
  readonly ended: Promise<IncomingEnd>;
}

export type IncomingEnd = {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly error: TransferError | null;
  /** The listener that remains after a failure with `keepListening`; it must be used or closed in the same turn. */
  readonly listener: KeptListener | null;
};

/** A listener whose migration has ended. Exactly one of its functions must be called, once. */
export type KeptListener = {
  /** Starts the next migration on the listener. */
  next(request: IncomingRequest, listener: TransferListener): IncomingSession;
  close(): void;
};

export interface MigrationSessions {
  startOutgoing(request: OutgoingRequest, listener: TransferListener): OutgoingSession;
  startIncoming(request: IncomingRequest, listener: TransferListener): IncomingSession;
}
