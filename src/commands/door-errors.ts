/** Errors as the doors see them: they know the command table, not the domain behind it. */

/** What a door has to say to a caller, whatever was asked for: no command has refused it, and no answer in its form holds it. */
export abstract class DoorError extends Error {
  abstract readonly code: string;
}

/** Classes of errors over QMP that we have; QEMU has more, for things that are not here. */
export const QMP_CLASSES = ['GenericError', 'CommandNotFound', 'DeviceNotActive'] as const;
export type QmpClass = (typeof QMP_CLASSES)[number];

/** The class of an error by its code. */
export function qmpClassOf(code: string): QmpClass {
  if (code === 'no_balloon') return 'DeviceNotActive';
  return COMMANDS_UNKNOWN.has(code) ? 'CommandNotFound' : 'GenericError';
}

const COMMANDS_UNKNOWN: ReadonlySet<string> = new Set(['not_found', 'method_not_allowed', 'already_negotiated']);
