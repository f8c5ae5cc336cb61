import type { SocketAddress } from '../../commands/schemas/address.ts';
import type { MigrationInfo, MigrationStats } from '../../commands/schemas/migrate.ts';
import { printable } from '../printable.ts';
import type { Answer } from './answer.ts';

/* `info migrate`: what is not known is left out, and so are some figures that are zero, unless all are asked for. */

type Info = Answer<typeof MigrationInfo>;
type Stats = Answer<typeof MigrationStats>;
type Amount = number | bigint;

export type MigrateTextOptions = { readonly withZeros: boolean; readonly isOnlyMigratable: boolean };

/** What our streams are like, in the words of QEMU's settings of its own. */
function globals(isOnlyMigratable: boolean): string[] {
  return [
    'globals:',
    'store-global-state: on',
    `only-migratable: ${isOnlyMigratable ? 'on' : 'off'}`,
    'send-configuration: on',
    'send-section-footer: on',
    'send-switchover-start: on',
    'clear-bitmap-shift: 18',
  ];
}

export function migrateText(info: Info, options: MigrateTextOptions): string {
  const lines = [
    ...globals(options.isOnlyMigratable),
    ...blockedLines(info),
    ...statusLines(info),
    ...(info.ram === undefined ? [] : ramLines(info.ram, options.withZeros)),
    ...cacheLines(info),
    ...restLines(info),
  ];
  return `${lines.join('\n')}\n`;
}

function blockedLines({ 'blocked-reasons': reasons }: Info): string[] {
  if (reasons === undefined) return [];
  return ['Outgoing migration blocked:', ...reasons.map((reason) => `  ${printable(reason)}`)];
}

function statusLines(info: Info): string[] {
  const { status, 'error-desc': error } = info;
  if (status === undefined) return [];
  const why = status === 'failed' && error !== undefined ? ` (${printable(error)})` : '';
  return [
    `Migration status: ${status}${why}`,
    `total time: ${info['total-time'] ?? 0} ms`,
    ...known(info['expected-downtime'], (value) => `expected downtime: ${value} ms`),
    ...known(info.downtime, (value) => `downtime: ${value} ms`),
    ...known(info['setup-time'], (value) => `setup: ${value} ms`),
  ];
}

function ramLines(ram: Stats, withZeros: boolean): string[] {
  const unlessZero = (value: Amount, text: (value: Amount) => string): string[] =>
    value > 0 || withZeros ? [text(value)] : [];
  return [
    `transferred ram: ${kibibytes(ram.transferred)} kbytes`,
    `throughput: ${ram.mbps.toFixed(2)} mbps`,
    `remaining ram: ${kibibytes(ram.remaining)} kbytes`,
    `total ram: ${kibibytes(ram.total)} kbytes`,
    `duplicate: ${ram.duplicate} pages`,
    `normal: ${ram.normal} pages`,
    `normal bytes: ${kibibytes(ram['normal-bytes'])} kbytes`,
    `dirty sync count: ${ram['dirty-sync-count']}`,
    `page size: ${kibibytes(ram['page-size'])} kbytes`,
    `multifd bytes: ${kibibytes(ram['multifd-bytes'])} kbytes`,
    `pages-per-second: ${ram['pages-per-second']}`,
    ...unlessZero(ram['dirty-pages-rate'], (value) => `dirty pages rate: ${value} pages`),
    ...unlessZero(ram['postcopy-requests'], (value) => `postcopy request count: ${value}`),
    ...unlessZero(ram['precopy-bytes'], (value) => `precopy ram: ${kibibytes(value)} kbytes`),
    ...unlessZero(ram['downtime-bytes'], (value) => `downtime ram: ${kibibytes(value)} kbytes`),
    ...unlessZero(ram['postcopy-bytes'], (value) => `postcopy ram: ${kibibytes(value)} kbytes`),
    ...unlessZero(ram['dirty-sync-missed-zero-copy'], (value) => `Zero-copy-send fallbacks happened: ${value} times`),
  ];
}

function cacheLines({ 'xbzrle-cache': cache }: Info): string[] {
  if (cache === undefined) return [];
  return [
    `cache size: ${cache['cache-size']} bytes`,
    `xbzrle transferred: ${kibibytes(cache.bytes)} kbytes`,
    `xbzrle pages: ${cache.pages} pages`,
    `xbzrle cache miss: ${cache['cache-miss']} pages`,
    `xbzrle cache miss rate: ${cache['cache-miss-rate'].toFixed(2)}`,
    `xbzrle encoding rate: ${cache['encoding-rate'].toFixed(2)}`,
    `xbzrle overflow: ${cache.overflow}`,
  ];
}

function restLines(info: Info): string[] {
  return [
    ...known(info['cpu-throttle-percentage'], (value) => `cpu throttle percentage: ${value}`),
    ...known(info['dirty-limit-throttle-time-per-round'], (value) => `dirty-limit throttle time: ${value} us`),
    ...known(info['dirty-limit-ring-full-time'], (value) => `dirty-limit ring full time: ${value} us`),
    ...known(info['postcopy-blocktime'], (value) => `postcopy blocktime: ${value}`),
    ...known(info['postcopy-vcpu-blocktime'], (value) => `postcopy vcpu blocktime: ${value.join(',')}`),
    ...known(info['socket-address'], (addresses) =>
      ['socket address: [', ...addresses.map((address) => `\t${addressText(address)}`), ']'].join('\n'),
    ),
    ...known(info.vfio, ({ transferred }) => `vfio device transferred: ${kibibytes(transferred)} kbytes`),
  ];
}

function known<T>(value: T | undefined, text: (value: T) => string): string[] {
  return value === undefined ? [] : [text(value)];
}

function addressText(address: Answer<typeof SocketAddress>): string {
  switch (address.type) {
    case 'inet':
      return `tcp:${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
    case 'unix':
      return `unix:${printable(address.path)}`;
    case 'vsock':
      return `vsock:${printable(address.cid)}:${printable(address.port)}`;
    case 'fd':
      return `fd:${printable(address.str)}`;
  }
}

/** Whole units of 1024 bytes, the rest left out. */
function kibibytes(bytes: Amount): bigint {
  return BigInt(bytes) / 1024n;
}
