/** Errors as the doors see them: they know the command table, not the domain behind it. */

export { DomainError, ERRORS, type ErrorCode, type ErrorKind, type Violation } from '../domain/errors.ts';
export { TRANSFER_ERRORS } from '../domain/migration/transfer-errors.ts';
