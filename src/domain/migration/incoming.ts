import type { Context } from '../context.ts';
import type { Begun, IncomingArguments } from '../domain.ts';
import { DomainError } from '../errors.ts';
import type { MigrationRecord } from '../store-ports.ts';
import type { MigrationAddress } from '../transfer-port.ts';
import { readAddress } from './channels.ts';
import { Reception } from './reception.ts';
import { refuseUnsuitableTransport } from './transport.ts';
import { refuseWhileJobNeedsMachine } from './waiting-jobs.ts';

/**
 * Starts to listen for an incoming migration. Nothing is recorded before the address is bound, so that a refusal
 * changes nothing. A listener that is left of a migration that failed is closed.
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
  const reception = new Reception(context, optionsOf(context, arguments_));
  context.isListenerStarting = true;
  try {
    await open(context, reception, address);
    // Meanwhile the guest that had left may have been taken back.
    refuseUnlessAwaiting(context);
    const record = reception.begin(begun);
    context.reception = reception;
    return record;
  } catch (error) {
    await reception.abort();
    throw error;
  } finally {
    context.isListenerStarting = false;
  }
}

/**
 * Ends a listener that no sender has reached: the migration that it awaited is cancelled, and a machine whose guest had
 * left is in `postmigrate` as before.
 * @throws DomainError if nothing is listened for, or a sender has come.
 */
export async function stopListening(context: Context): Promise<void> {
  const { reception } = context;
  if (reception === null) {
    throw new DomainError('not_expecting_incoming', 'No incoming migration is listened for.');
  }
  if (await reception.stopListening()) return;
  const id = reception.sent?.id ?? context.current?.id;
  throw new DomainError('migration_in_progress', `The sender of migration ${id} has come; it is under way.`);
}

/** Opens the address, if need be in the place of a listener that is left of a migration that failed. */
async function open(context: Context, reception: Reception, address: MigrationAddress): Promise<void> {
  const left = context.reception;
  try {
    await reception.open(address);
  } catch (error) {
    const isTaken = error instanceof DomainError && error.code === 'address_in_use';
    if (!isTaken || left === null || !isSamePlace(left.address, address)) throw error;
    await left.abort();
    await reception.open(address);
  }
  await left?.abort();
}

function isSamePlace(bound: MigrationAddress | null, wanted: MigrationAddress): boolean {
  if (bound?.transport === 'tcp' && wanted.transport === 'tcp') return bound.port === wanted.port;
  return bound?.transport === 'unix' && wanted.transport === 'unix' && bound.path === wanted.path;
}

function optionsOf({ keepListening }: Context, arguments_: IncomingArguments) {
  const exitOnError = arguments_['exit-on-error'] === true;
  const keeps = arguments_['keep-listening'] ?? (keepListening && !exitOnError);
  if (!keeps || !exitOnError) return { exitOnError, keepListening: keeps };
  const reason = 'keep-listening and exit-on-error are both true; a process that ends cannot go on listening.';
  throw new DomainError('incompatible_parameters', reason, {
    violations: [{ pointer: '/keep-listening', reason }],
  });
}

function refuseUnlessExpected(context: Context): void {
  refuseUnlessAwaiting(context);
  refuseWhileJobNeedsMachine(context);
  if (!isIncomingUnderWay(context)) return;
  const who = context.isListenerStarting ? 'Another migration' : `Migration ${context.current?.id}`;
  throw new DomainError('migration_in_progress', `${who} is listened for, or comes in, already.`);
}

function refuseUnlessAwaiting(context: Context): void {
  if (context.isClosing) throw new DomainError('shutting_down', 'The service is shutting down.');
  if (context.isTakingDisks) {
    throw new DomainError('not_expecting_incoming', 'The guest that has left is being taken back (cont).');
  }
  const { current: state } = context.runState;
  if (state !== 'inmigrate' && state !== 'postmigrate') {
    const detail =
      `The machine is ${state}; a migration is taken by a machine that was started with --incoming, ` +
      'and by one whose guest has left (postmigrate).';
    throw new DomainError('not_expecting_incoming', detail);
  }
}

/** True from the moment when an address is bound until that migration has ended. */
export function isIncomingUnderWay({ current, isListenerStarting }: Context): boolean {
  return isListenerStarting || (current !== null && current.direction === 'incoming' && !current.isEnded);
}
