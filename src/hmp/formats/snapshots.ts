import type { Answer } from '../../commands/command.ts';
import type { JobList } from '../../commands/schemas/jobs.ts';
import type { Snapshot, VmList } from '../../commands/schemas/snapshots.ts';
import { printable } from '../line-reader.ts';

/*
 * `info snapshots` and `info jobs`. The columns of snapshots are QEMU's. A snapshot has a different id on each node, so a snapshot that
 * is on all nodes is shown without an id. Sizes are those of the VM state.
 */

type Row = {
  readonly id: string;
  readonly tag: string;
  readonly bytes: number | bigint;
  readonly date: string;
  readonly clockNs: number | bigint;
  readonly icount: number | bigint | null;
};
type Kept = Answer<typeof Snapshot>;
type List = Answer<typeof VmList>;

const HEADER = columns(['ID', 'TAG', 'VM_SIZE', 'DATE', 'VM_CLOCK', 'ICOUNT']);

export function snapshotsText({ all, partial }: List): string {
  if (all.length === 0 && partial.length === 0) return 'There is no snapshot available.\n';
  const rows = all.map((kept) => rowText({ ...rowOf(kept), id: '--' }));
  const parts = [`List of snapshots present on all disks:\n${rows.length === 0 ? 'None\n' : HEADER + rows.join('')}`];
  for (const [node, held] of byNode(partial)) {
    const heading = `\nList of partial (non-loadable) snapshots on '${printable(node)}':\n`;
    parts.push(heading + HEADER + held.map(rowText).join(''));
  }
  return parts.join('');
}

function byNode(partial: readonly Kept[]): ReadonlyMap<string, readonly Row[]> {
  const rows = new Map<string, Row[]>();
  for (const kept of partial) {
    for (const { name, id, 'vm-state-size': bytes } of kept.nodes) {
      const row = { ...rowOf(kept), id, bytes };
      rows.set(name, [...(rows.get(name) ?? []), row]);
    }
  }
  return rows;
}

function rowOf(kept: Kept): Row {
  const { id, tag, date, icount } = kept;
  return { id, tag, date, icount, bytes: kept['vm-state-size'], clockNs: kept['vm-clock'] };
}

function rowText({ id, tag, bytes, date, clockNs, icount }: Row): string {
  const count = icount === null ? '--' : String(icount);
  return columns([id, printable(tag), sizeText(Number(bytes)), dateText(date), clockText(BigInt(clockNs)), count]);
}

function columns([id, tag, size, date, clock, icount]: readonly [string, string, string, string, string, string]) {
  const left = `${id.padEnd(7)} ${tag.padEnd(16)} ${size.padStart(8)}`;
  return `${left} ${date.padStart(19)} ${clock.padStart(15)} ${icount.padStart(10)}\n`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** A size with three significant digits, at most three of them before the decimal point: 999 KiB, 0.977 MiB. */
export function sizeText(bytes: number): string {
  const power = bytes === 0 ? 0 : Math.max(0, Math.floor(Math.log2(bytes * 1.024) / 10));
  const unit = UNITS[power] ?? 'EiB';
  return `${Number((bytes / 1024 ** power).toPrecision(3))} ${unit}`;
}

/** Local time, to the second. */
function dateText(iso: string): string {
  const date = new Date(iso);
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('-');
  return `${day} ${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':')}`;
}

/** Hours, minutes, seconds and thousandths of the guest's clock. */
function clockText(nanoseconds: bigint): string {
  const milliseconds = nanoseconds / 1_000_000n;
  const part = (value: bigint, digits: number): string => String(value).padStart(digits, '0');
  const [hours, minutes] = [milliseconds / 3_600_000n, (milliseconds / 60_000n) % 60n];
  const seconds = (milliseconds / 1000n) % 60n;
  return `${part(hours, 4)}:${part(minutes, 2)}:${part(seconds, 2)}.${part(milliseconds % 1000n, 3)}`;
}

type Jobs = Answer<typeof JobList>['jobs'];

/** The text of `info jobs`. QEMU has a list of block jobs only; this one has the same form. */
export function jobsText(jobs: Jobs): string {
  if (jobs.length === 0) return 'No active jobs\n';
  return jobs.map((job) => `${jobText(job)}\n`).join('');
}

function jobText(job: Jobs[number]): string {
  const why = job.error === undefined ? '' : `, error: ${printable(job.error)}`;
  const progress = `Completed ${job['current-progress']} of ${job['total-progress']} bytes`;
  return `Type ${job.type}, job ${job.id}: ${job.status}, ${progress}${why}`;
}
