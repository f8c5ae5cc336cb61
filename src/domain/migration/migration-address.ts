import { parseSize, SIZE_FORM } from '../../text/size.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import { shown } from '../settings/violations.ts';
import {
  type InetOptions,
  inetMembers,
  invalid,
  PORT_MAX,
  readInetOptions,
  readPort,
  refuse,
  unavailable,
} from './address-options.ts';
import { type FdSets, isFdSetPath } from './client-descriptors.ts';

/** Rules for the addresses of this service. */
export type AddressRules = {
  /** The only folder below which files may lie; absolute, without a slash at its end. */
  readonly fileRoot: string;
  readonly allowExec: boolean;
  /** Inherited descriptors by name. */
  readonly fds: ReadonlyMap<string, number>;
  readonly fdSets: Pick<FdSets, 'find'>;
};

/** Use of an address: the port of a target cannot be 0, the port of a listener can. */
export type AddressUse = 'connect' | 'listen';

/** Longest path of a unix socket, in bytes: the limit of the kernel, without the closing zero. */
const UNIX_PATH_BYTES_MAX = 107;
const PATH_BYTES_MAX = 4095;

/**
 * Reads the `uri` form: tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND, fd:NAME.
 * @throws DomainError
 */
export function parseUri(uri: string, use: AddressUse, rules: AddressRules): MigrationAddress {
  const colon = uri.indexOf(':');
  const rest = uri.slice(colon + 1);
  switch (uri.slice(0, Math.max(colon, 0))) {
    case 'tcp':
      return parseTcp(rest, use);
    case 'unix':
      return unixAddress(rest, '/uri');
    case 'file':
      return parseFile(rest, use, rules);
    case 'exec':
      return execAddress(['/bin/sh', '-c', rest], rules, '/uri');
    case 'fd':
      return fdAddress(rest, rules, '/uri');
    case 'rdma':
      throw unavailable('/uri', 'rdma: is not available on this host.');
    case 'vsock':
      throw unavailable('/uri', 'vsock: is not available on this host.');
    default:
      throw invalid('/uri', `uri ${shown(uri)} does not begin with tcp:, unix:, file:, exec: or fd:.`);
  }
}

/** Text of an address in the history. */
export function addressText(address: MigrationAddress): string {
  switch (address.transport) {
    case 'tcp':
      return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'unix':
      return `unix:${address.path}`;
    case 'file':
      return `file:${address.path}${address.offset === 0 ? '' : `,offset=${address.offset}`}`;
    case 'exec':
      return `exec:${address.command.join(' ')}`;
    case 'fd':
      return `fd:${address.name}`;
  }
}

const TCP = /^(?:\[([^\]]*)\]|([^:,]*)):([^,]*)(?:,(.*))?$/s;

function parseTcp(text: string, use: AddressUse): MigrationAddress {
  const match = TCP.exec(text);
  if (match === null) {
    throw invalid('/uri', `uri ${shown(`tcp:${text}`)} is not tcp:HOST:PORT with a port from 0 to ${PORT_MAX}.`);
  }
  const [, literal, name, port = '', options] = match;
  const given = { host: literal ?? name ?? '', port, use, pointer: '/uri' };
  return tcpAddress({ ...given, options: options === undefined ? {} : readInetOptions(options) });
}

type GivenTcp = {
  readonly host: string;
  readonly port: string;
  readonly use: AddressUse;
  readonly pointer: string;
  readonly options?: InetOptions;
};

/** Reads host and port as texts. An empty host listens on every interface. */
export function tcpAddress({ host, port: text, use, pointer, options = {} }: GivenTcp): MigrationAddress {
  const port = readPort(text, 'port', pointer);
  if (use === 'connect' && port === 0) throw invalid(pointer, 'port 0 cannot be connected to.');
  if (use === 'connect' && host === '') throw invalid(pointer, 'a host is needed to connect to.');
  if (/[\s\0/]/.test(host)) throw invalid(pointer, `host ${shown(host)} is not a host name or address.`);
  return { transport: 'tcp', host, port, ...inetMembers(options, { port, use, pointer }) };
}

export function unixAddress(path: string, pointer: string): MigrationAddress {
  checkPath(path, pointer, UNIX_PATH_BYTES_MAX);
  return { transport: 'unix', path };
}

const OFFSET = ',offset=';
/** 16 TiB: no larger file fits the usual file systems. */
const FILE_OFFSET_MAX = 2 ** 44;

function parseFile(text: string, use: AddressUse, rules: AddressRules): MigrationAddress {
  const comma = text.indexOf(OFFSET);
  if (comma < 0) return openFileAddress(text, 0, { use, rules, pointer: '/uri' });
  const offset = text.slice(comma + OFFSET.length);
  const size = parseSize(offset, 'B');
  if (size === null) throw invalid('/uri', `offset ${shown(offset)} is not ${SIZE_FORM}.`);
  if (size === 'out-of-range') throw invalid('/uri', `offset ${shown(offset)} is not from 0 to ${FILE_OFFSET_MAX}.`);
  return openFileAddress(text.slice(0, comma), size, { use, rules, pointer: '/uri' });
}

/** A file of a migration: below the root, or an open descriptor of a set. */
export function openFileAddress(
  path: string,
  offset: number | bigint,
  { use, rules, pointer }: { use: AddressUse; rules: AddressRules; pointer: string },
): MigrationAddress {
  if (!isFdSetPath(path)) return fileAddress(path, offset, { rules, pointer });
  checkPath(path, pointer, PATH_BYTES_MAX);
  checkOffset(offset, pointer);
  const descriptor = rules.fdSets.find(path, use === 'connect' ? 'write' : 'read', pointer);
  return { transport: 'file', path, offset: Number(offset), descriptor };
}

/** A file below the root, by its path relative to the root. Links are refused when the file is opened, not here. */
export function fileAddress(
  path: string,
  offset: number | bigint,
  { rules, pointer }: { rules: Pick<AddressRules, 'fileRoot'>; pointer: string },
): MigrationAddress {
  checkPath(path, pointer, PATH_BYTES_MAX);
  checkOffset(offset, pointer);
  const isAbsolute = path.startsWith('/');
  const steps = cleanSteps(path);
  const rootSteps = isAbsolute ? cleanSteps(rules.fileRoot) : [];
  const isBelow = rootSteps.every((step, index) => steps[index] === step);
  if (!isBelow || steps.includes('..')) {
    throw refuse(
      'file_outside_root',
      pointer,
      `file ${shown(path)} does not lie below the file root ${rules.fileRoot}.`,
    );
  }
  const relative = steps.slice(rootSteps.length);
  if (relative.length === 0 || path.endsWith('/')) throw invalid(pointer, `file ${shown(path)} names a folder.`);
  return { transport: 'file', path: relative.join('/'), offset: Number(offset) };
}

function checkOffset(offset: number | bigint, pointer: string): void {
  if (offset >= 0 && offset <= FILE_OFFSET_MAX) return;
  throw invalid(pointer, `offset ${offset} is not from 0 to ${FILE_OFFSET_MAX}.`);
}

function cleanSteps(path: string): string[] {
  return path.split('/').filter((step) => step !== '' && step !== '.');
}

export function execAddress(command: readonly string[], rules: AddressRules, pointer: string): MigrationAddress {
  if (!rules.allowExec) {
    throw refuse('exec_not_allowed', pointer, 'exec: addresses are only taken by a service started with --allow-exec.');
  }
  if (command.length === 0 || command.some((word) => word === '' || word.includes('\0'))) {
    throw invalid(pointer, 'a command needs at least one word, and none of them empty.');
  }
  return { transport: 'exec', command };
}

export function fdAddress(name: string, rules: AddressRules, pointer: string): MigrationAddress {
  const fd = rules.fds.get(name);
  if (fd === undefined) {
    throw invalid(
      pointer,
      `no descriptor named ${shown(name)} was inherited at the start (--fd) or passed by getfd, or a migration has used it.`,
    );
  }
  return { transport: 'fd', fd, name };
}

function checkPath(path: string, pointer: string, bytesMax: number): void {
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > 0 && bytes <= bytesMax && !path.includes('\0')) return;
  throw invalid(pointer, `path ${shown(path)} has ${bytes} bytes; 1 to ${bytesMax} are allowed, none of them zero.`);
}
