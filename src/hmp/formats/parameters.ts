import type { BitmapMigrationNodeAlias } from '../../commands/schemas/settings.ts';
import { printable } from '../printable.ts';
import type { Answer } from './answer.ts';

/*
 * `info migrate_parameters`. QEMU's order is not the schema's, and the levels of the compressions of multifd are not
 * shown at all.
 */

type Values = Readonly<Record<string, unknown>>;
type Line = (name: string, value: unknown) => string;

const plain: Line = (name, value) => `${name}: ${String(value)}\n`;
const onOff: Line = (name, value) => `${name}: ${value === true ? 'on' : 'off'}\n`;
const quoted: Line = (name, value) => `${name}: '${printable(String(value))}'\n`;
const inUnit =
  (unit: string): Line =>
  (name, value) =>
    `${name}: ${String(value)} ${unit}\n`;

const LINES: readonly (readonly [name: string, line: Line])[] = [
  ['announce-initial', inUnit('ms')],
  ['announce-max', inUnit('ms')],
  ['announce-rounds', plain],
  ['announce-step', inUnit('ms')],
  ['throttle-trigger-threshold', plain],
  ['cpu-throttle-initial', plain],
  ['cpu-throttle-increment', plain],
  ['cpu-throttle-tailslow', onOff],
  ['max-cpu-throttle', plain],
  ['tls-creds', quoted],
  ['tls-hostname', quoted],
  ['max-bandwidth', inUnit('bytes/second')],
  ['avail-switchover-bandwidth', inUnit('bytes/second')],
  ['downtime-limit', inUnit('ms')],
  ['x-checkpoint-delay', inUnit('ms')],
  ['multifd-channels', plain],
  ['multifd-compression', plain],
  ['zero-page-detection', plain],
  ['xbzrle-cache-size', inUnit('bytes')],
  ['max-postcopy-bandwidth', plain],
  ['tls-authz', quoted],
  ['block-bitmap-mapping', mappingText],
  ['x-vcpu-dirty-limit-period', inUnit('ms')],
  ['vcpu-dirty-limit', inUnit('MB/s')],
  ['mode', plain],
  ['direct-io', onOff],
];

export function parametersText(values: Values): string {
  return LINES.filter(([name]) => values[name] !== undefined)
    .map(([name, line]) => line(name, values[name]))
    .join('');
}

function mappingText(name: string, value: unknown): string {
  const nodes = value as readonly Answer<typeof BitmapMigrationNodeAlias>[];
  const lines = nodes.flatMap((node) => [
    `  ${renamed(node['node-name'], node.alias)}`,
    ...node.bitmaps.map((bitmap) => `    ${renamed(bitmap.name, bitmap.alias)}`),
  ]);
  return `${[`${name}:`, ...lines].join('\n')}\n`;
}

function renamed(name: string, alias: string): string {
  return `'${printable(name)}' -> '${printable(alias)}'`;
}
