import { guestAwaited, guestNotAwaited, replaceDepartedGuest } from '../guest/guest-interruptions.ts';
import type { Occupancy } from '../occupancy.ts';
import type { Hypervisor } from '../ports/hypervisor.ts';
import type {
  Deadlines,
  IncomingEnd,
  IncomingRequest,
  IncomingSession,
  KeptListener,
  MigrationAddress,
  TransferError,
  TransferListener,
} from '../ports/migration-session.ts';
import type { Note, Report } from '../ports/process.ts';
import type { MigrationRecord, OnInsert } from '../ports/store.ts';
import type { Settings } from '../settings/settings.ts';
import { type ArrivalParts, takeOver } from './arrival.ts';
import type { FdSets, NamedDescriptors } from './client-descriptors.ts';
import type { CurrentMigration, Listener, Migrations } from './current-migration.ts';
import type { AddressRules } from './migration-address.ts';
import { engineFailure, listenError } from './migration-failure.ts';
import type { MigrationJournal } from './migration-journal.ts';
import { isEnded } from './migration-status.ts';

export type ReceptionParts = ArrivalParts & {
  readonly hypervisor: Pick<Hypervisor, 'startIncoming'>;
  readonly settings: Settings;
  readonly occupancy: Occupancy;
  readonly migrations: Migrations;
  readonly journal: MigrationJournal;
  readonly addressRules: AddressRules;
  readonly descriptors: Pick<NamedDescriptors, 'giveAway'>;
  readonly fdSets: Pick<FdSets, 'lend'>;
  readonly deadlines: Deadlines;
  /** The uuid that a stream must have if it has one; null: any. */
  readonly comparedUuid: string | null;
  readonly note: Note;
  readonly report: Report;
  /** Ends the process; `failed` is true after a failure. */
  readonly exitProcess: (failed: boolean) => void;
};

export type ReceptionOptions = {
  /** True: the process ends after a failed migration. */
  readonly exitOnError: boolean;
  /** True: the listener waits for the next sender after a failed migration. */
  readonly keepListening: boolean;
};

/**
 * One listening address, from its opening until nothing listens there any more. It has at most one migration at a time.
 * After a connection without a migration stream, and with `keepListening` also after a failed sender, the migration has
 * failed and the listener continues. The next sender then starts a new migration.
 */
export class Reception implements Listener {
  readonly #parts: ReceptionParts;
  readonly #options: ReceptionOptions;
  readonly #listener: TransferListener;
  /** Calls of the engine that came before the first row was inserted. */
  #held: (() => void)[] | null = [];
  #address: MigrationAddress | null = null;
  #transfer: IncomingSession | null = null;
  #migration: CurrentMigration | null = null;
  #hasSender = false;
  #release = (): void => {};

  constructor(parts: ReceptionParts, options: ReceptionOptions) {
    this.#parts = parts;
    this.#options = options;
    const hold = (call: () => void): void => {
      if (this.#held === null) call();
      else this.#held.push(call);
    };
    this.#listener = {
      status: (status) => hold(() => isEnded(status) || this.#changed(status)),
      rejected: (error) => hold(() => this.#rejected(error)),
      released: () => this.#release(),
      pass: () => {},
      passEnded: () => {},
      shared: (id) => hold(() => this.#migration !== null && parts.journal.applySharedId(this.#migration, id)),
      limitVcpus: () => {},
      guestStopped: () => {},
      guestResumed: () => {},
      releaseDisks: async () => {},
    };
  }

  /** The bound address; null before it is open. */
  get address(): MigrationAddress | null {
    return this.#address;
  }

  /** The migration that a sender is sending; null: no sender. */
  get sent(): CurrentMigration | null {
    return this.#hasSender ? this.#migration : null;
  }

  /** Opens the address. @throws DomainError if it cannot be opened. */
  async open(address: MigrationAddress): Promise<void> {
    try {
      this.#transfer = this.#parts.fdSets.lend(address, (lent) => {
        this.#release = lent.release;
        return this.#parts.hypervisor.startIncoming(this.#requestFor(lent.address), this.#listener);
      });
      this.#parts.descriptors.giveAway(address);
      this.#transfer.loaded.catch(() => {});
      this.#transfer.ended.catch(() => {});
      this.#address = await this.#transfer.listening;
    } catch (error) {
      throw listenError(error, address);
    }
  }

  /** Records the migration that waits for a sender; from now on the calls of the engine take effect. */
  begin(onInsert: OnInsert<MigrationRecord> | undefined): MigrationRecord {
    const record = this.#insert(onInsert);
    guestAwaited(this.#parts.guest);
    for (const call of this.#held ?? []) call();
    this.#held = null;
    this.#follow(this.#opened());
    return record;
  }

  setCapabilities(capabilities: readonly string[]): void {
    this.#transfer?.setCapabilities(capabilities);
  }

  /** Ends the migration that waits for a sender or receives a guest; resolves when nothing listens any more. */
  async abort(): Promise<void> {
    this.#transfer?.abort();
    await this.#transfer?.ended.catch(() => {});
  }

  /** Ends the migration that a sender is sending, unless its guest has already arrived. Resolves at its end. */
  async cancelSent(): Promise<void> {
    const { sent } = this;
    this.#transfer?.cancel();
    await sent?.settled;
  }

  /** Stops listening if no sender has come. @returns false, without effect, if one has. */
  async stopListening(): Promise<boolean> {
    const transfer = this.#opened();
    if (!transfer.stopListening()) return false;
    await transfer.ended.catch(() => {});
    return true;
  }

  #opened(): IncomingSession {
    if (this.#transfer === null) throw new TypeError('the address is not open');
    return this.#transfer;
  }

  #requestFor(address: MigrationAddress): IncomingRequest {
    const { settings, deadlines, comparedUuid } = this.#parts;
    return {
      address,
      capabilities: settings.enabled(),
      deadlines,
      uuid: comparedUuid,
      keepListening: this.#options.keepListening,
    };
  }

  #insert(onInsert?: OnInsert<MigrationRecord>): MigrationRecord {
    const { journal } = this.#parts;
    const migration = journal.create('incoming');
    const transfer = this.#opened();
    transfer.countFrom(0);
    migration.transfer = transfer;
    const record = journal.open(migration, { address: this.#address!, onInsert, mayUseReserve: false });
    this.#migration = migration;
    return record;
  }

  #changed(status: CurrentMigration['status']): void {
    if (status !== 'active') return;
    this.#hasSender = true;
    if (this.#migration === null && !this.#beginNext()) return;
    replaceDepartedGuest(this.#parts.guest);
    const migration = this.#migration!;
    this.#parts.journal.applyStatus(migration, status);
    // Before a stream has come there is nothing to sample.
    migration.recorder?.start();
  }

  /**
   * A sender has come, and the previous migration of the listener has ended. If no row can be inserted, the session is
   * aborted.
   */
  #beginNext(): boolean {
    try {
      this.#insert();
      return true;
    } catch (error) {
      this.#parts.report(error);
      this.#transfer?.abort();
      return false;
    }
  }

  /** A connection sent no migration stream: the waiting migration has failed, the listener continues. */
  #rejected(error: TransferError): void {
    this.#parts.note('a connection that sent no migration stream was closed', {
      code: error.code,
      description: error.message,
    });
    if (this.#migration === null) return;
    this.#ended({ status: 'failed', error });
    if (this.#options.exitOnError) void this.abort();
  }

  #follow(transfer: IncomingSession): void {
    void transfer.loaded
      .then(
        (loaded) => takeOver(this.#parts, { session: transfer, loaded, migration: () => this.#migration }),
        () => {}, // `ended` says why nothing was loaded.
      )
      .catch(this.#parts.report);
    void transfer.ended
      .catch((error: unknown): IncomingEnd => ({ status: 'failed', error: engineFailure(error), listener: null }))
      .then((end) => this.#transferEnded(end))
      .catch(this.#parts.report);
  }

  #transferEnded({ status, error, listener }: IncomingEnd): void {
    const next = listener === null ? null : this.#awaitNext(listener);
    if (next === null) this.#closed();
    const isAwaited = this.#migration !== null;
    if (isAwaited) this.#ended({ status, error });
    else if (status === 'failed' && error?.code !== 'incoming_aborted') this.#parts.report(new Error(error?.message));
    if (next === null) return;
    this.#hasSender = false;
    this.#follow(next);
  }

  #awaitNext(listener: KeptListener): IncomingSession | null {
    if (this.#parts.occupancy.has('closing') || this.#options.exitOnError || this.#address === null) {
      listener.close();
      return null;
    }
    try {
      this.#transfer = listener.next(this.#requestFor(this.#address), this.#listener);
      return this.#transfer;
    } catch (error) {
      this.#parts.report(error);
      listener.close();
      return null;
    }
  }

  /** Nothing listens here any more. */
  #closed(): void {
    this.#address = null;
    const { migrations, guest } = this.#parts;
    if (migrations.listener === this) migrations.listener = null;
    if (!this.#hasSender) guestNotAwaited(guest);
  }

  #ended({ status, error }: Pick<IncomingEnd, 'status' | 'error'>): void {
    const { journal, occupancy } = this.#parts;
    const migration = this.#migration!;
    this.#migration = null;
    journal.applyEnd(migration, { status, error, guest: status === 'completed' ? 'here' : 'there' });
    if (status === 'failed' && this.#options.exitOnError && !occupancy.has('closing'))
      exitAfter(this.#parts, migration, error);
  }
}

/**
 * Ends the process after a failed migration with exit-on-error. The log has the reason, because no client can ask for
 * it.
 */
function exitAfter({ note, exitProcess }: ReceptionParts, { id }: CurrentMigration, error: TransferError | null): void {
  const details = { migration: id, code: error?.code, reason: error?.message };
  note('the service ends: an incoming migration with exit-on-error failed', details, 'error');
  exitProcess(true);
}
