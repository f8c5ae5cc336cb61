import { DomainError, type Violation } from '../errors.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import { pointerTo, shown } from '../settings/violations.ts';
import { type InetOptions, invalid, readPort, unavailable } from './address-options.ts';
import {
  type AddressRules,
  type AddressUse,
  execAddress,
  fdAddress,
  openFileAddress,
  parseUri,
  tcpAddress,
  unixAddress,
} from './migration-address.ts';

/** MigrationChannel of the QAPI schema: its address. */
export type MigrationChannel = {
  readonly 'channel-type': string;
  readonly addr: Readonly<Record<string, unknown>> & { readonly transport: string };
};

export type MigrateArguments = {
  readonly uri?: string;
  readonly channels?: readonly MigrationChannel[];
  readonly resume?: boolean;
};

export type IncomingArguments = {
  readonly uri?: string;
  readonly channels?: readonly MigrationChannel[];
  readonly 'exit-on-error'?: boolean;
  /** Default: the flag that the service was started with. */
  readonly 'keep-listening'?: boolean;
};

type Members = Readonly<Record<string, unknown>>;
type Given = { readonly uri?: string | undefined; readonly channels?: readonly unknown[] | undefined };

/**
 * The address of a migrate or migrate-incoming command: exactly one of `uri` and `channels`.
 * @throws DomainError
 */
export function readAddress({ uri, channels }: Given, use: AddressUse, rules: AddressRules): MigrationAddress {
  if ((uri === undefined) === (channels === undefined)) {
    const reason = uri === undefined ? 'neither uri nor channels is given.' : 'uri and channels are both given.';
    throw new DomainError('uri_or_channels', `Exactly one of uri and channels is needed; ${reason}`);
  }
  if (uri !== undefined) {
    if (typeof uri !== 'string') throw wrongType('/uri', uri, 'a string');
    return parseUri(uri, use, rules);
  }
  return parseChannels(channels, use, rules);
}

function parseChannels(channels: unknown, use: AddressUse, rules: AddressRules): MigrationAddress {
  if (!Array.isArray(channels)) throw wrongType('/channels', channels, 'an array');
  if (channels.length !== 1)
    throw invalid('/channels', `channels has ${channels.length} entries; exactly one is needed.`);
  const channel = object(channels[0], '/channels/0', ['channel-type', 'addr']);
  const type = channel['channel-type'];
  if (type !== 'main') {
    throw invalid('/channels/0/channel-type', `channel-type is ${shown(type)}; a migration needs 'main'.`);
  }
  return parseChannelAddress(channel.addr, use, rules);
}

const ADDR = '/channels/0/addr';

function parseChannelAddress(addr: unknown, use: AddressUse, rules: AddressRules): MigrationAddress {
  const members = object(addr, ADDR);
  switch (members.transport) {
    case 'socket':
      return parseSocket(members, use, rules);
    case 'exec': {
      known(members, ['transport', 'args']);
      const { args } = members;
      if (!Array.isArray(args) || !args.every((word) => typeof word === 'string')) {
        throw wrongType(`${ADDR}/args`, args, 'an array of strings');
      }
      return execAddress(args, rules, `${ADDR}/args`);
    }
    case 'file': {
      known(members, ['transport', 'filename', 'offset']);
      const { offset } = members;
      if (typeof offset !== 'bigint' && !Number.isInteger(offset))
        throw wrongType(`${ADDR}/offset`, offset, 'an integer');
      return openFileAddress(text(members, 'filename'), offset as number | bigint, { use, rules, pointer: ADDR });
    }
    case 'rdma':
      throw unavailable(ADDR, 'rdma is not available on this host.');
    default:
      throw invalid(
        `${ADDR}/transport`,
        `transport is ${shown(members.transport)}; socket, exec and file are allowed.`,
      );
  }
}

function parseSocket(members: Members, use: AddressUse, rules: AddressRules): MigrationAddress {
  switch (members.type) {
    case 'inet': {
      known(members, ['transport', 'type', 'host', 'port', ...INET_OPTIONS]);
      const given = { host: text(members, 'host'), port: text(members, 'port'), use, pointer: ADDR };
      return tcpAddress({ ...given, options: inetOptions(members) });
    }
    case 'unix':
      known(members, ['transport', 'type', 'path', ...UNIX_OPTIONS]);
      refuseOptions(members, UNIX_OPTIONS);
      return unixAddress(text(members, 'path'), `${ADDR}/path`);
    case 'fd':
      known(members, ['transport', 'type', 'str']);
      return fdAddress(text(members, 'str'), rules, `${ADDR}/str`);
    case 'vsock':
      throw unavailable(ADDR, 'vsock is not available on this host.');
    default:
      throw invalid(`${ADDR}/type`, `type is ${shown(members.type)}; inet, unix and fd are allowed.`);
  }
}

const INET_OPTIONS = ['numeric', 'to', 'ipv4', 'ipv6', 'keep-alive', 'mptcp'] as const;

function inetOptions(members: Members): InetOptions {
  const options: Record<string, unknown> = {};
  for (const name of INET_OPTIONS) {
    const value = members[name];
    if (value === undefined) continue;
    if (name === 'to') options.to = readPort(String(value), 'to', `${ADDR}/to`);
    else if (typeof value === 'boolean') options[name] = value;
    else throw wrongType(`${ADDR}/${name}`, value, 'a boolean');
  }
  return options;
}

/** Members that QEMU applies and vmferry does not: only values without effect are accepted. */
const UNIX_OPTIONS = ['abstract', 'tight'];

function refuseOptions(members: Members, names: readonly string[]): void {
  for (const name of names) {
    const value = members[name];
    if (value === undefined || value === false) continue;
    // `tight` only matters for abstract addresses.
    if (value === true && name === 'tight') continue;
    throw unavailable(`${ADDR}/${name}`, `member '${name}' is not available in this version.`);
  }
}

function known(members: Members, names: readonly string[], at = ADDR): void {
  const violations: Violation[] = Object.keys(members)
    .filter((name) => !names.includes(name))
    .map((name) => ({ pointer: `${at}${pointerTo(name)}`, reason: `${shown(name)} is unknown.` }));
  if (violations.length === 0) return;
  throw new DomainError('unknown_member', violations.map(({ reason }) => reason).join(' '), { violations });
}

function object(value: unknown, pointer: string, names?: readonly string[]): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(pointer, value, 'an object');
  if (names !== undefined) known(value as Members, names, pointer);
  return value as Members;
}

function text(members: Members, name: string): string {
  const value = members[name];
  if (typeof value !== 'string') throw wrongType(`${ADDR}/${name}`, value, 'a string');
  return value;
}

function wrongType(pointer: string, value: unknown, wanted: string): DomainError {
  const reason = `${pointer.split('/').at(-1)} is ${shown(value)}; it has to be ${wanted}.`;
  return new DomainError('wrong_type', reason, { violations: [{ pointer, reason }] });
}
