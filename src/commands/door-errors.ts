/** An error of HTTP itself, such as a rate limit, that no command has thrown. QMP's envelope cannot express it. */
export abstract class DoorError extends Error {
  abstract readonly code: string;
}

/** Error classes of QMP that vmferry uses. QEMU has further ones, for devices that do not exist here. */
export const QMP_CLASSES = ['GenericError', 'CommandNotFound', 'DeviceNotActive'] as const;
export type QmpClass = (typeof QMP_CLASSES)[number];

/** QMP's class of an error code. */
export function qmpClassOf(code: string): QmpClass {
  if (code === 'no_balloon') return 'DeviceNotActive';
  return COMMANDS_UNKNOWN.has(code) ? 'CommandNotFound' : 'GenericError';
}

const COMMANDS_UNKNOWN: ReadonlySet<string> = new Set(['not_found', 'method_not_allowed', 'already_negotiated']);
