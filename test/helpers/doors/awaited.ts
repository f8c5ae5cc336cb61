// Commands of the schema that are not in the table yet. Once one is there its row is made of the first example of its
// route, until somebody writes one that says more.

import type { Command } from '../../../src/commands/command.ts';
import type { JsonObject } from '../qemu/qmp.ts';
import { operationOf } from './doors.ts';
import type { DoorRow } from './row.ts';

export const AWAITED: ReadonlySet<string> = new Set([
  'announce-self',
  'query-colo-status',
  'query-xen-replication-status',
  'x-colo-lost-heartbeat',
  'xen-colo-do-checkpoint',
  'xen-load-devices-state',
  'xen-save-devices-state',
  'xen-set-global-dirty-log',
  'xen-set-replication',
]);

export function rowOfExample(entry: Command): DoorRow | undefined {
  const example = operationOf(entry)?.examples[0];
  if (!AWAITED.has(entry.name) || example === undefined) return undefined;
  const given = { ...example.params, ...example.query, ...(example.body as JsonObject | undefined) };
  return example.status < 400
    ? { good: { given } }
    : { good: `its route answers ${example.status}`, refused: { given } };
}
