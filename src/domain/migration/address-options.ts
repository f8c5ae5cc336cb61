import { DomainError, type ErrorCode } from '../errors.ts';
import type { MigrationAddress, TcpAddress } from '../ports/migration-session.ts';
import type { Settings } from '../settings/settings.ts';
import { shown } from '../settings/violations.ts';

/*
 * Options of a TCP address, in a URI (`tcp:HOST:PORT,ipv4=on,to=N`) and as members of a channel: one set of rules for
 * both forms.
 */

export const PORT_MAX = 65_535;

/** As QEMU names them. `numeric` changes nothing: a number is never looked up, and a name always is. */
export type InetOptions = {
  readonly ipv4?: boolean;
  readonly ipv6?: boolean;
  readonly to?: number;
  readonly 'keep-alive'?: boolean;
  readonly mptcp?: boolean;
  readonly numeric?: boolean;
};

const SWITCHES = ['ipv4', 'ipv6', 'keep-alive', 'mptcp', 'numeric'] as const;

/** Reads the options after the port: `NAME=on`, `NAME=off`, NAME alone for on, and `to=PORT`. @throws DomainError */
export function readInetOptions(text: string): InetOptions {
  const options: Record<string, boolean | number> = {};
  for (const part of text.split(',')) {
    const [name = '', value] = splitAt(part, '=');
    if (Object.hasOwn(options, name)) throw invalid('/uri', `option ${shown(name)} is given twice.`);
    if (name === 'to') options.to = readPort(value ?? '', 'to', '/uri');
    else if (SWITCHES.some((known) => known === name)) options[name] = readSwitch(name, value);
    else throw invalid('/uri', `option ${shown(name)} is not known; to=PORT, ${SWITCHES.join(', ')} are.`);
  }
  return options;
}

/** Absent members have no effect. @throws DomainError if members exclude each other. */
export function inetMembers(
  { ipv4, ipv6, to, mptcp, 'keep-alive': keepAlive }: InetOptions,
  { port, use, pointer }: { readonly port: number; readonly use: 'connect' | 'listen'; readonly pointer: string },
): Pick<TcpAddress, 'family' | 'portMax' | 'keepAlive'> {
  if (mptcp === true) throw unavailable(pointer, "'mptcp' is not available in this version.");
  if (ipv4 === false && ipv6 === false) throw invalid(pointer, 'ipv4 and ipv6 are both off; one of them is needed.');
  const isOnly4 = ipv6 === false || (ipv4 === true && ipv6 !== true);
  const isOnly6 = ipv4 === false || (ipv6 === true && ipv4 !== true);
  const hasRange = use === 'listen' && to !== undefined;
  if (hasRange && to < port) throw invalid(pointer, `to is ${to}, below the port ${port}.`);
  return {
    ...(isOnly4 && { family: 4 as const }),
    ...(isOnly6 && { family: 6 as const }),
    ...(hasRange && { portMax: to }),
    ...(keepAlive === false && { keepAlive }),
  };
}

/** A port in decimal digits. @throws DomainError */
export function readPort(text: string, name: 'port' | 'to', pointer: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= PORT_MAX) return port;
  throw invalid(pointer, `${name} ${shown(text)} is not a number from 0 to ${PORT_MAX}.`);
}

function readSwitch(name: string, value: string | undefined): boolean {
  if (value === undefined || value === 'on') return true;
  if (value === 'off') return false;
  throw invalid('/uri', `option '${name}' is ${shown(value)}; on and off are allowed.`);
}

function splitAt(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/* Refusals of an address; `pointer` names the wrong member. */

export function invalid(pointer: string, reason: string): DomainError {
  return refuse('invalid_address', pointer, reason);
}

export function unavailable(pointer: string, reason: string): DomainError {
  return refuse('transport_not_available', pointer, reason);
}

export function refuse(code: ErrorCode, pointer: string, reason: string): DomainError {
  return new DomainError(code, reason, { violations: [{ pointer, reason }] });
}

/**
 * Refuses an address whose transport does not support the capabilities that are on: several channels, or a file with a
 * fixed place for each page.
 */
export function refuseUnsuitableTransport(address: MigrationAddress, settings: Settings): void {
  const { transport } = address;
  const isFile = transport === 'file';
  const needsChannels = settings.has('multifd') || settings.has('postcopy-preempt');
  const hasChannels = transport === 'tcp' || transport === 'unix' || (isFile && settings.has('mapped-ram'));
  if (needsChannels && !hasChannels) {
    throw unsuitable(`${transport}: has one channel only; multifd and postcopy-preempt need tcp: or unix:.`);
  }
  if (settings.has('mapped-ram') && !isFile && transport !== 'fd') {
    throw unsuitable(`${transport}: cannot be written at chosen places; mapped-ram needs file:.`);
  }
}

function unsuitable(detail: string): DomainError {
  return new DomainError('transport_unsuitable', detail, { violations: [{ pointer: '', reason: detail }] });
}
