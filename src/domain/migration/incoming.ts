import type { Context } from '../context.ts';
import type { Begun, IncomingArguments, SocketAddress } from '../domain.ts';
import { DomainError, isErrorCode } from '../errors.ts';
import { guestArrived } from '../machine/migration-steps.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type {
  IncomingPlan,
  IncomingTransfer,
  MigrationAddress,
  TransferError,
  TransferListener,
} from '../transfer-port.ts';
import { applyEnd, applyStatus, emitStatus } from './apply.ts';
import { readAddress } from './channels.ts';
import { CurrentMigration } from './current-migration.ts';
import { engineFailure } from './failure.ts';
import { newRecord, recorderOf } from './record.ts';
import { isEnded } from './status.ts';
import { refuseUnsuitableTransport } from './transport.ts';
import { refuseWhileJobNeedsMachine } from './waiting-jobs.ts';

/**
 * Starts to listen for an incoming migration. Nothing is recorded before the address is bound, so that a refusal
 * changes nothing.
 * @throws DomainError
 */
export async function startIncoming(
  context: Context,
  arguments_: IncomingArguments,
  begun?: Begun<MigrationRecord>,
): Promise<MigrationRecord> {
  const address = readAddress(arguments_, 'listen', context);
  refuseUnsuitableTransport(address, context.settings);
  refuseUnlessExpected(context);
  const migration = new CurrentMigration(context.ids(), 'incoming');
  const queue = new ListenerQueue(listenerFor(context, migration));
  context.isListenerStarting = true;
  try {
    const transfer = startEngine(context, address, queue.listener);
    migration.transfer = transfer;
    transfer.loaded.catch(() => {});
    transfer.ended.catch(() => {});
    const bound = await transfer.listening.catch((error: unknown) => {
      throw listenError(error, address);
    });
    if (context.isClosing) {
      transfer.abort();
      throw new DomainError('shutting_down', 'The service is shutting down.');
    }
    const record = begin(context, { migration, bound, begun });
    queue.open();
    follow(context, { migration, transfer, exitOnError: arguments_['exit-on-error'] === true });
    return record;
  } finally {
    context.isListenerStarting = false;
  }
}

function startEngine(context: Context, address: MigrationAddress, listener: TransferListener): IncomingTransfer {
  const plan = planFor(context, address);
  try {
    return context.engine.startIncoming(plan, listener);
  } catch (error) {
    throw listenError(error, address);
  }
}

function refuseUnlessExpected(context: Context): void {
  if (context.isClosing) throw new DomainError('shutting_down', 'The service is shutting down.');
  if (context.runState.current !== 'inmigrate') {
    const detail = `The machine is ${context.runState.current}; only one started with --incoming takes a migration.`;
    throw new DomainError('not_expecting_incoming', detail);
  }
  refuseWhileJobNeedsMachine(context);
  if (context.isListenerStarting || isIncomingUnderWay(context)) {
    const who = context.isListenerStarting ? 'Another migration' : `Migration ${context.current?.id}`;
    throw new DomainError('migration_in_progress', `${who} is listened for, or comes in, already.`);
  }
}

/** True from the moment when an address is bound until that migration has ended. */
export function isIncomingUnderWay({ current, isListenerStarting }: Context): boolean {
  return isListenerStarting || (current !== null && current.direction === 'incoming' && !current.isEnded);
}

function planFor(context: Context, address: MigrationAddress): IncomingPlan {
  return {
    address,
    fileRoot: context.fileRoot,
    target: context.machine.transferTarget(),
    capabilities: context.settings.enabled(),
    deadlines: context.deadlines,
    uuid: context.identity.uuid,
  };
}

type Bound = {
  readonly migration: CurrentMigration;
  readonly bound: MigrationAddress;
  readonly begun: Begun<MigrationRecord> | undefined;
};

function begin(context: Context, { migration, bound, begun }: Bound): MigrationRecord {
  const record = newRecord(context, migration, bound);
  context.events.commit((emit) => {
    context.store.migrations.insert(record);
    emitStatus(context, emit, 'setup');
    begun?.(record);
  });
  migration.socketAddress = socketAddressOf(bound);
  migration.recorder = recorderOf(context, migration);
  context.current = migration;
  context.changes.bump();
  return record;
}

function listenerFor(context: Context, migration: CurrentMigration): TransferListener {
  return {
    status: (status) => {
      if (isEnded(status)) return;
      const hasOnlyListened = migration.status === 'setup';
      applyStatus(context, migration, status);
      // Before a stream has come there is nothing to sample, however long that takes.
      if (hasOnlyListened && migration.status === 'active') migration.recorder?.start();
    },
    pass: () => {},
    passEnded: () => {},
    guestStopped: () => {},
    guestResumed: () => {},
  };
}

type Followed = {
  readonly migration: CurrentMigration;
  readonly transfer: IncomingTransfer;
  readonly exitOnError: boolean;
};

function follow(context: Context, followed: Followed): void {
  const { migration, transfer, exitOnError } = followed;
  void transfer.loaded.then(
    (loaded) => {
      try {
        context.machine.adopt(loaded);
      } catch (error) {
        transfer.refused(adoptError(error));
        return;
      }
      guestArrived(context, loaded.globalState);
      transfer.started();
      // A guest that is to stay stopped is announced too, as by QEMU; an image never runs. The guest does not wait for it.
      if (context.machine.canRun) context.announcer.afterMigration(migration.id);
    },
    () => {}, // `ended` says why nothing was loaded.
  );
  void transfer.ended
    .catch((error: unknown) => ({ status: 'failed' as const, error: engineFailure(error) }))
    .then(({ status, error }) => {
      applyEnd(context, migration, { status, error, guest: status === 'completed' ? 'here' : 'there' });
      if (status === 'failed' && exitOnError && !context.isClosing) context.exitProcess(true);
    })
    .catch(context.report);
}

function adoptError(error: unknown): TransferError {
  return { code: 'machine_refused', message: error instanceof Error ? error.message : String(error) };
}

function listenError(error: unknown, address: MigrationAddress): DomainError {
  if (error instanceof DomainError) return error;
  const { code, message } = (error ?? {}) as Partial<TransferError>;
  const known = typeof code === 'string' && isErrorCode(code) ? code : 'address_not_available';
  return new DomainError(known, message ?? `${address.transport}: cannot be listened on.`, { cause: error });
}

function socketAddressOf(address: MigrationAddress): readonly SocketAddress[] | null {
  if (address.transport === 'tcp') return [{ type: 'inet', host: address.host, port: String(address.port) }];
  if (address.transport === 'unix') return [{ type: 'unix', path: address.path }];
  return null;
}

/** Keeps what an engine tells until the row it is about exists. */
class ListenerQueue {
  readonly listener: TransferListener;
  #held: (() => void)[] | null = [];

  constructor(inner: TransferListener) {
    this.listener = {
      status: (status) => this.#pass(() => inner.status(status)),
      pass: (pass) => this.#pass(() => inner.pass(pass)),
      passEnded: (figures) => this.#pass(() => inner.passEnded(figures)),
      guestStopped: () => this.#pass(() => inner.guestStopped()),
      guestResumed: () => this.#pass(() => inner.guestResumed()),
    };
  }

  open(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const call of held) call();
  }

  #pass(call: () => void): void {
    if (this.#held === null) call();
    else this.#held.push(call);
  }
}
