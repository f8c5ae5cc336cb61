import { DomainError, type ErrorCode } from '../errors.ts';

/* Refusals of an address: `pointer` is to the member that is wrong. */

export function invalid(pointer: string, reason: string): DomainError {
  return refuse('invalid_address', pointer, reason);
}

export function unavailable(pointer: string, reason: string): DomainError {
  return refuse('transport_not_available', pointer, reason);
}

export function refuse(code: ErrorCode, pointer: string, reason: string): DomainError {
  return new DomainError(code, reason, { violations: [{ pointer, reason }] });
}
