import type { Context } from '../context.ts';
import type { Begun } from '../domain.ts';
import { activateDisks, giveDisksBack } from '../machine/disks.ts';
import { guestArrived, guestAwaited, guestComes, guestNotAwaited, runsOnArrival } from '../machine/migration-steps.ts';
import { logMigrationBegan } from '../outcomes.ts';
import type { LoadedMachine } from '../ports.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type {
  IncomingEnd,
  IncomingPlan,
  IncomingTransfer,
  KeptListener,
  MigrationAddress,
  TransferError,
  TransferListener,
} from '../transfer-port.ts';
import { giveDescriptorAway } from './address.ts';
import { applyEnd, applySharedId, applyStatus, emitStatus } from './apply.ts';
import { comparedUuid } from './compared-uuid.ts';
import type { CurrentMigration } from './current-migration.ts';
import { adoptError, diskFailure, engineFailure, listenError } from './failure.ts';
import { newMigration, newRecord, recorderOf } from './record.ts';
import { type SocketAddress, socketAddressOf } from './socket-address.ts';
import { isEnded } from './status.ts';

export type ReceptionOptions = {
  /** The process ends when a migration failed. */
  readonly exitOnError: boolean;
  /** After a migration that failed the next sender is awaited. */
  readonly keepListening: boolean;
};

/**
 * One address at which guests are awaited, from its opening until nothing listens there any more. It is about one
 * migration at a time, or about none: a migration that was awaited has failed, because a connection sent something that
 * is no stream, or because its sender broke off (`keepListening`), and the listener goes on. The next sender then begins a
 * migration of its own.
 */
export class Reception {
  readonly #context: Context;
  readonly #options: ReceptionOptions;
  readonly #listener: TransferListener;
  /** Calls of the engine that came before the first row was there. */
  #held: (() => void)[] | null = [];
  #address: MigrationAddress | null = null;
  #transfer: IncomingTransfer | null = null;
  #migration: CurrentMigration | null = null;
  #hasSender = false;
  #release = (): void => {};

  constructor(context: Context, options: ReceptionOptions) {
    this.#context = context;
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
      shared: (id) => hold(() => this.#migration !== null && applySharedId(context, this.#migration, id)),
      guestStopped: () => {},
      guestResumed: () => {},
      releaseDisks: async () => {},
    };
  }

  /** The bound address; null before it is open. */
  get address(): MigrationAddress | null {
    return this.#address;
  }

  /** The bound address as query-migrate shows it; null where nothing is listened on. */
  get socketAddress(): readonly SocketAddress[] | null {
    return this.#address === null ? null : socketAddressOf(this.#address);
  }

  /** The migration that a sender is sending; null while none is. */
  get sent(): CurrentMigration | null {
    return this.#hasSender ? this.#migration : null;
  }

  /** Opens the address. @throws DomainError if that cannot be done. */
  async open(address: MigrationAddress): Promise<void> {
    try {
      this.#transfer = this.#context.fdSets.lend(address, (lent) => {
        this.#release = lent.release;
        return this.#context.engine.startIncoming(this.#plan(lent.address), this.#listener);
      });
      giveDescriptorAway(this.#context.fds, address);
      this.#transfer.loaded.catch(() => {});
      this.#transfer.ended.catch(() => {});
      this.#address = await this.#transfer.listening;
    } catch (error) {
      throw listenError(error, address);
    }
  }

  /** Records the migration that is awaited; from now on what the engine tells counts. */
  begin(begun: Begun<MigrationRecord> | undefined): MigrationRecord {
    const record = this.#insert(begun);
    guestAwaited(this.#context);
    for (const call of this.#held ?? []) call();
    this.#held = null;
    this.#follow(this.#opened());
    return record;
  }

  setCapabilities(capabilities: readonly string[]): void {
    this.#transfer?.setCapabilities(capabilities);
  }

  /** Gives up whatever is awaited or comes in; resolves when nothing listens any more. */
  async abort(): Promise<void> {
    this.#transfer?.abort();
    await this.#transfer?.ended.catch(() => {});
  }

  /** Ends the migration that a sender is sending, unless its guest is here by then. Resolves at its end. */
  async cancelSent(): Promise<void> {
    const { sent } = this;
    this.#transfer?.cancel();
    await sent?.settled;
  }

  /** Ends the wait unless a sender has come. @returns false, and changes nothing, if one has. */
  async stopListening(): Promise<boolean> {
    const transfer = this.#opened();
    if (!transfer.stopListening()) return false;
    await transfer.ended.catch(() => {});
    return true;
  }

  #opened(): IncomingTransfer {
    if (this.#transfer === null) throw new TypeError('the address is not open');
    return this.#transfer;
  }

  #plan(address: MigrationAddress): IncomingPlan {
    const { fileRoot, machine, settings, deadlines } = this.#context;
    return {
      address,
      fileRoot,
      target: machine.transferTarget(),
      capabilities: settings.enabled(),
      deadlines,
      uuid: comparedUuid(this.#context),
      keepListening: this.#options.keepListening,
    };
  }

  #insert(begun?: Begun<MigrationRecord>): MigrationRecord {
    const context = this.#context;
    const migration = newMigration(context, 'incoming');
    const transfer = this.#opened();
    transfer.countFrom(0);
    migration.transfer = transfer;
    const record = newRecord(context, migration, this.#address!);
    context.events.commit((emit) => {
      context.store.migrations.insert(record);
      emitStatus(emit, record, 'setup');
      begun?.(record);
    });
    migration.recorder = recorderOf(context, migration);
    context.current = migration;
    this.#migration = migration;
    logMigrationBegan(context, record);
    context.changes.bump();
    return record;
  }

  #changed(status: CurrentMigration['status']): void {
    if (status !== 'active') return;
    this.#hasSender = true;
    if (this.#migration === null && !this.#beginNext()) return;
    guestComes(this.#context);
    const migration = this.#migration!;
    applyStatus(this.#context, migration, status);
    // Before a stream has come there is nothing to sample, however long that takes.
    migration.recorder?.start();
  }

  /** A sender has come to a listener that had no migration left. Without a row there is none. */
  #beginNext(): boolean {
    try {
      this.#insert();
      return true;
    } catch (error) {
      this.#context.report(error);
      this.#transfer?.abort();
      return false;
    }
  }

  /** A connection that was no sender: the migration that was awaited has failed, the listener has not. */
  #rejected(error: TransferError): void {
    const { note } = this.#context;
    note('a connection that sent no migration stream was turned away', {
      code: error.code,
      description: error.message,
    });
    if (this.#migration === null) return;
    this.#ended({ status: 'failed', error });
    if (this.#options.exitOnError) void this.abort();
  }

  #follow(transfer: IncomingTransfer): void {
    void transfer.loaded
      .then(
        (loaded) => this.#takeOver(transfer, loaded),
        () => {}, // `ended` says why nothing was loaded.
      )
      .catch(this.#context.report);
    void transfer.ended
      .catch((error: unknown): IncomingEnd => ({ status: 'failed', error: engineFailure(error), listener: null }))
      .then((end) => this.#transferEnded(end))
      .catch(this.#context.report);
  }

  /** The guest and its disks become this side's, or stay the source's. */
  async #takeOver(transfer: IncomingTransfer, loaded: LoadedMachine): Promise<void> {
    const context = this.#context;
    const { machine, settings, announcer } = context;
    if (runsOnArrival(context, loaded.globalState) || !settings.has('late-block-activate')) {
      try {
        await activateDisks(context);
      } catch (error) {
        transfer.refused(diskFailure(error));
        return;
      }
      if (!transfer.isOpen) return giveDisksBack(context);
    }
    try {
      machine.adopt(loaded);
    } catch (error) {
      await giveDisksBack(context);
      transfer.refused(adoptError(error));
      return;
    }
    guestArrived(context, loaded.globalState);
    transfer.started();
    // A guest that is to stay stopped is announced too, as by QEMU; an image never runs. The guest does not wait for it.
    if (machine.canRun && this.#migration !== null) announcer.afterMigration(this.#migration.id);
  }

  #transferEnded({ status, error, listener }: IncomingEnd): void {
    const next = listener === null ? null : this.#awaitNext(listener);
    if (next === null) this.#closed();
    const isAwaited = this.#migration !== null;
    if (isAwaited) this.#ended({ status, error });
    else if (status === 'failed' && error?.code !== 'incoming_aborted') this.#context.report(new Error(error?.message));
    if (next === null) return;
    this.#hasSender = false;
    this.#follow(next);
  }

  #awaitNext(listener: KeptListener): IncomingTransfer | null {
    if (this.#context.isClosing || this.#options.exitOnError || this.#address === null) {
      listener.close();
      return null;
    }
    try {
      this.#transfer = listener.next(this.#plan(this.#address), this.#listener);
      return this.#transfer;
    } catch (error) {
      this.#context.report(error);
      listener.close();
      return null;
    }
  }

  /** Nothing listens here any more. */
  #closed(): void {
    this.#address = null;
    if (this.#context.reception === this) this.#context.reception = null;
    if (!this.#hasSender) guestNotAwaited(this.#context);
  }

  #ended({ status, error }: Pick<IncomingEnd, 'status' | 'error'>): void {
    const context = this.#context;
    const migration = this.#migration!;
    this.#migration = null;
    applyEnd(context, migration, { status, error, guest: status === 'completed' ? 'here' : 'there' });
    if (status === 'failed' && this.#options.exitOnError && !context.isClosing) exitAfter(context, migration, error);
  }
}

/** Ends the process after a failed migration with exit-on-error; the log says why, since nothing else would. */
function exitAfter(context: Context, { id }: CurrentMigration, error: TransferError | null): void {
  const details = { migration: id, code: error?.code, reason: error?.message };
  context.note('the service ends: an incoming migration with exit-on-error failed', details, 'error');
  context.exitProcess(true);
}
