import { type Figures, timeToGo, verdictOf } from '../client-migration.ts';
import { isRecord, numberOf } from '../json-values.ts';
import { clockText, durationText, oneLine, sizeText } from './plain-text.ts';

/* A service at a glance. Whatever it does not say is left out. */

/** What was asked of the service: each as it answered. */
export type Overview = {
  readonly status: Figures;
  readonly machine: Figures;
  readonly migrate: Figures;
  readonly progress: Figures;
};

/** Some lines, each with a name in front. */
export function overviewText({ status, machine, migrate, progress }: Overview): string {
  const lines: (readonly [name: string, text: string | null])[] = [
    ['machine', machineText(machine)],
    ['state', `${status.running === true ? 'running' : 'stopped'} (${status.status})`],
    ['guest', guestText(machine)],
    ['migration', migrationText(migrate, progress)],
    ['verdict', verdictText(progress)],
  ];
  return lines
    .filter(([, text]) => text !== null)
    .map(([name, text]) => `${name.padEnd(NAME_WIDTH)}${oneLine(text ?? '')}\n`)
    .join('');
}

/** The same on one line, for where lines follow one another. */
export function overviewLine({ status, migrate, progress }: Overview): string {
  return `${oneLine(`${status.status}; migration: ${migrationText(migrate, progress)}`)}\n`;
}

const NAME_WIDTH = 11;

/** The line as several that fit, broken where a part of it ends; those behind the first are indented. */
export function wrapped(line: string, columns: number): string[] {
  if (line.length <= columns || columns <= NAME_WIDTH) return [line.slice(0, columns)];
  const piece = line.slice(0, columns + 1);
  const at = [piece.lastIndexOf(', ') + 1, piece.lastIndexOf(' ')].find((place) => place > NAME_WIDTH) ?? columns;
  const rest = `${' '.repeat(NAME_WIDTH)}${line.slice(at).trimStart()}`;
  return [line.slice(0, at).trimEnd(), ...wrapped(rest, columns)];
}

function machineText(machine: Figures): string {
  const blocks = Array.isArray(machine['ram-blocks']) ? machine['ram-blocks'].filter(isRecord) : [];
  const ramBytes = blocks.reduce((sum, { size }) => sum + (numberOf(size) ?? 0), 0);
  const vcpus = numberOf(machine.vcpus);
  const parts = [
    String(machine.kind),
    ramBytes > 0 ? `${sizeText(ramBytes)} RAM` : null,
    vcpus === null ? null : `${vcpus} vCPU${vcpus === 1 ? '' : 's'}`,
    `uuid ${machine.uuid}`,
  ];
  return `${machine.name}: ${parts.filter((part) => part !== null).join(', ')}`;
}

function guestText({ ticks, panic = null, workload }: Figures): string | null {
  const count = numberOf(ticks);
  if (count === null) return null;
  const rate = isRecord(workload) ? numberOf(workload.rate) : null;
  const dirties = rate === null ? '' : `, dirties ${sizeText(rate)}/s`;
  return `${count} ticks${dirties}${panic === null ? '' : `, panic: ${plain(panic)}`}`;
}

function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function migrationText(migrate: Figures, progress: Figures): string {
  const status = typeof migrate.status === 'string' ? migrate.status : 'none';
  const total = numberOf(migrate['total-time']);
  const downtime = numberOf(migrate.downtime);
  const pass = numberOf(progress.pass) ?? 0;
  const ended = [
    total === null ? null : `in ${durationText(total)}`,
    downtime === null ? null : `downtime ${downtime} ms`,
    typeof migrate['error-desc'] === 'string' ? migrate['error-desc'] : null,
  ];
  const figure = (name: string): number => Math.round(numberOf(progress[name]) ?? 0);
  const active = [
    `pass ${pass}`,
    `${Math.floor(numberOf(progress['first-pass-percent']) ?? 0)} % of the first pass`,
    `${sizeText(figure('rate'))}/s`,
    `${sizeText(figure('remaining'))} left`,
    `downtime ${figure('expected-downtime')} ms expected, ${figure('downtime-limit')} ms allowed`,
    total === null ? null : `since ${clockText(total)}`,
    timeToGo(progress),
  ];
  const isEnded = ['completed', 'failed', 'cancelled', 'none'].includes(status);
  const parts = isEnded ? ended : pass === 0 ? [] : active;
  return [status, ...parts.filter((part) => part !== null)].join(', ');
}

function verdictText(progress: Figures): string | null {
  const verdict = verdictOf(progress);
  return verdict === null ? null : `${verdict.verdict}: ${verdict.reason}`;
}
