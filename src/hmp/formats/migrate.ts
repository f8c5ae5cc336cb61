import type { Answer } from '../../commands/command.ts';
import type { MigrationInfo, SocketAddress } from '../../commands/schemas/migrate.ts';
import { figureDeclaration } from '../../domain/settings/declared-settings.ts';
import { type FigureName, MONITOR_FIGURES } from '../../domain/settings/schema-order.ts';
import { printable } from '../line-reader.ts';

/* The text of `info migrate`. A figure that is not in the answer is left out; some are left out while they are zero. */

type Info = Answer<typeof MigrationInfo>;
type Amount = number | bigint;

export type MigrateTextOptions = { readonly withZeros: boolean; readonly isOnlyMigratable: boolean };

/** The properties of the stream, under the names that QEMU has for its own settings. */
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
    ...MONITOR_FIGURES.flatMap((name) => figureLines(name, info, options.withZeros)),
    ...otherLines(info),
  ];
  return `${lines.join('\n')}\n`;
}

function blockedLines({ 'blocked-reasons': reasons }: Info): string[] {
  if (reasons === undefined) return [];
  return ['Outgoing migration blocked:', ...reasons.map((reason) => `  ${printable(reason)}`)];
}

function statusLines({ status, 'error-desc': error }: Info): string[] {
  if (status === undefined) return [];
  const why = status === 'failed' && error !== undefined ? ` (${printable(error)})` : '';
  return [`Migration status: ${status}${why}`];
}

/** The line of a figure; none where it is not in the answer, or is zero and hidden. */
function figureLines(name: FigureName, info: Info, withZeros: boolean): string[] {
  const { in: place, isFraction = false, monitor } = figureDeclaration(name);
  const value = memberOf(place === 'info' ? info : info[place], name) ?? withoutValue(name, info);
  if (value === undefined || (monitor.isHiddenAtZero === true && value <= 0 && !withZeros)) return [];
  const text = isFraction ? Number(value).toFixed(2) : String(monitor.unit === 'kbytes' ? kibibytes(value) : value);
  return [`${monitor.label}: ${text}${monitor.unit === undefined ? '' : ` ${monitor.unit}`}`];
}

function memberOf(members: Readonly<Partial<Record<FigureName, Amount>>> | undefined, name: FigureName) {
  return members?.[name];
}

/** As in QEMU, a migration whose times are not known yet has a total time of 0. */
function withoutValue(name: FigureName, { status }: Info): Amount | undefined {
  return name === 'total-time' && status !== undefined ? 0 : undefined;
}

function otherLines(info: Info): string[] {
  return [
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
