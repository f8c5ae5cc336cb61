import { DomainError, isErrorCode } from '../errors.ts';
import type { MigrationAddress, MigrationEnd, TransferError } from '../ports/migration-session.ts';

/** The error of a migration when the engine itself failed. */
export function engineFailure(error: unknown): TransferError {
  const message = error instanceof Error ? error.message : String(error);
  return { code: 'engine_failed', message: `The transfer engine failed: ${message}` };
}

/** The error when the guest's disks cannot be used here. */
export function diskFailure(error: unknown): TransferError {
  const { code, message } = (error ?? {}) as { readonly code?: unknown; readonly message?: string };
  if (code === 'image_locked') return { code: 'image_locked', message: message ?? code };
  return { code: 'disks_not_taken', message: message ?? String(error) };
}

/** This code explains already that the owner is unknown. */
const EXPLAINED = 'handover_outcome_unknown';

/** The error of an end. If the guest's owner is unknown, the message has advice. */
export function failureOf(end: MigrationEnd): TransferError | null {
  if (end.status !== 'failed') return end.error;
  const error = end.error ?? { code: 'engine_failed', message: 'The migration failed without a reason.' };
  if (end.guest !== 'unknown' || error.code === EXPLAINED) return error;
  return { code: error.code, message: `${error.message} ${ADVICE}` };
}

const ADVICE =
  'Whether the guest runs on the target is not known, so it stays stopped here. Look at the target: ' +
  'only if the guest does not run there let it go on here (POST /cont): a guest that runs twice destroys its disks.';

/** The error when the machine refuses a loaded guest. */
export function adoptError(error: unknown): TransferError {
  return { code: 'machine_refused', message: error instanceof Error ? error.message : String(error) };
}

/** The error of a command whose address cannot be listened on. */
export function listenError(error: unknown, address: MigrationAddress): DomainError {
  if (error instanceof DomainError) return error;
  const { code, message } = (error ?? {}) as Partial<TransferError>;
  const known = typeof code === 'string' && isErrorCode(code) ? code : 'address_not_available';
  return new DomainError(known, message ?? `${address.transport}: cannot be listened on.`, { cause: error });
}

const NOT_CONFIRMED =
  'Not confirmed by the target: the stream was taken to its end, but there was no return path on which the target could ' +
  'have said that it loaded the guest. Look at the target before the guest or this service is ended here. ' +
  'With the capability return-path on, over a socket, the target would have said so.';

/** Advice on a migration that ended without a failure; null if none is needed. */
export function noteOf({ guest }: { readonly guest: MigrationEnd['guest'] | null }): string | null {
  return guest === 'there, unconfirmed' ? NOT_CONFIRMED : null;
}
