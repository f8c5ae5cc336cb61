import { isRecord, numberOf } from './json-values.ts';
import { clockText, sizeText } from './output/plain-text.ts';
import { table } from './table.ts';

/* Snapshots as a table for people. Whatever a service does not say is a dash. */

type Snapshot = Readonly<Record<string, unknown>>;

const COLUMNS: readonly (readonly [title: string, textOf: (snapshot: Snapshot) => string | null])[] = [
  ['TAG', ({ tag }) => (typeof tag === 'string' ? tag : null)],
  ['DATE', ({ date }) => (typeof date === 'string' ? date.replace(/\.\d+Z$/, 'Z') : null)],
  ['VM STATE', (snapshot) => sizeOf(snapshot['vm-state-size'])],
  ['RAM', (snapshot) => sizeOf(snapshot['ram-size'])],
  ['VCPUS', ({ vcpus }) => (numberOf(vcpus) === null ? null : String(vcpus))],
  ['VM CLOCK', (snapshot) => clockOf(snapshot['vm-clock'])],
  ['NODES', ({ nodes }) => namesOf(nodes)],
  ['REMARKS', remarksOn],
];

/** A heading, and a line a snapshot. */
export function snapshotTable(snapshots: readonly Snapshot[]): string {
  const rows = snapshots.map((snapshot) => COLUMNS.map(([, textOf]) => textOf(snapshot)));
  return table(
    COLUMNS.map(([title]) => title),
    rows,
  );
}

function sizeOf(value: unknown): string | null {
  const bytes = numberOf(value);
  return bytes === null ? null : sizeText(bytes);
}

function clockOf(value: unknown): string | null {
  const nanoseconds = numberOf(value);
  return nanoseconds === null ? null : clockText(nanoseconds / 1e6);
}

function namesOf(value: unknown): string | null {
  if (!Array.isArray(value)) return null;
  const names = value.map((node) => (isRecord(node) ? node.name : node)).filter((name) => typeof name === 'string');
  return names.length === 0 ? null : names.join(',');
}

/** What one should know before one relies on it; nothing if all is well. */
function remarksOn(snapshot: Snapshot): string {
  const remarks = [
    snapshot.vmstate === null ? 'disks only' : '',
    snapshot.consistent === false ? 'inconsistent' : '',
    snapshot['has-digests'] === false ? 'without digests' : '',
    typeof snapshot['expires-at'] === 'string' ? `until ${snapshot['expires-at'].replace(/\.\d+Z$/, 'Z')}` : '',
    typeof snapshot.description === 'string' ? snapshot.description : '',
  ];
  return remarks.filter((remark) => remark !== '').join(', ');
}
