import { type Figures, panicOf, timeToGo, verdictOf } from '../client-work.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { isRecord, numberOf, plainOf } from '../json-values.ts';
import { clockText, durationText, oneLine, type Paint, sizeText } from './plain-text.ts';

/* Output of `vmferry status` and `vmferry events`. Values that the service does not return are left out. */

/** The answers of GET /status, /machine, /migrate and /migrate/progress. */
export type Overview = {
  readonly status: Figures;
  readonly machine: Figures;
  readonly migrate: Figures;
  readonly progress: Figures;
};

/** The status as several lines, each with a name at its beginning. */
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

/** The status on one line, for output that is not a terminal. */
export function overviewLine({ status, migrate, progress }: Overview): string {
  return `${oneLine(`${status.status}; migration: ${migrationText(migrate, progress)}`)}\n`;
}

const NAME_WIDTH = 11;

/** The line wrapped to the width, preferably after a comma; continuation lines are indented. */
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
  return `${count} ticks${dirties}${panic === null ? '' : `, panic: ${plainOf(panic)}`}`;
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

/** Run states of a fault: the guest cannot leave them without help, and no operator has requested them. */
const BROKEN: ReadonlySet<unknown> = new Set(['guest-panicked', 'internal-error', 'io-error']);

/**
 * Findings of `status --check` about the guest, a sentence for each. `newest` is the newest migration of the history; null
 * if there is none.
 */
export function guestProblems({ status, machine }: Overview, newest: Figures | null): readonly string[] {
  const panic = panicOf(machine);
  if (panic !== null) return [`the guest panicked (${panic.kind}): ${panic.detail}`];
  if (BROKEN.has(status.status)) return [`the guest cannot run: its run state is ${status.status}`];
  if (newest?.guest !== 'unknown' || status.running === true) return [];
  return [`which side has the guest after migration ${newest.id} is unknown; docs/operating.md tells what to do`];
}

/** Findings of `status --check` in the answer of `GET /readyz`; none if the service is ready. */
export function readinessProblems({ ready, checks = null }: Figures): readonly string[] {
  if (ready === true) return [];
  const failing = Object.entries(isRecord(checks) ? checks : {}).filter(
    ([name, state]) => name !== 'guest' && state !== 'ok',
  );
  if (failing.length === 0) return ['the service is not ready'];
  return failing.map(([name, state]) => `the service is not ready: ${name}: ${state}`);
}

/** An event as a line: `02:15:26.120  #7  MIGRATION  status=active`. */
export function eventLine({ id, name, body }: ServiceEvent, paint: Paint): string {
  if (name === 'gap') return paint('red', `events ${body.from} to ${body.to} are no longer kept`);
  const at = timeOfDay(body.timestamp);
  const parts = [at === null ? '' : `${at}  `, id === null ? '' : `#${id}  `];
  return `${paint('dim', parts.join(''))}${paint(colourOf(name), oneLine(name))}${dataText(body.data)}`;
}

function colourOf(name: string): Parameters<Paint>[0] {
  if (/PANIC|ERROR|FAIL/.test(name)) return 'red';
  return /^(?:STOP|RESUME|SHUTDOWN|RESET)/.test(name) ? 'cyan' : 'yellow';
}

function dataText(data: unknown): string {
  if (!isRecord(data)) return '';
  const members = Object.entries(data).map(([name, value]) => `${name}=${valueText(value)}`);
  return members.length === 0 ? '' : `  ${oneLine(members.join(' '))}`;
}

function valueText(value: unknown): string {
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}

/** The local time of day of a QMP timestamp; null if there is none. */
function timeOfDay(timestamp: unknown): string | null {
  const seconds = isRecord(timestamp) ? numberOf(timestamp.seconds) : null;
  const microseconds = isRecord(timestamp) ? numberOf(timestamp.microseconds) : null;
  if (seconds === null) return null;
  const date = new Date(seconds * 1000 + Math.floor((microseconds ?? 0) / 1000));
  const digits = (value: number, count: number): string => String(value).padStart(count, '0');
  const [hours, minutes, secs] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => digits(part, 2));
  return `${hours}:${minutes}:${secs}.${digits(date.getMilliseconds(), 3)}`;
}

/** An event of the machine as --json prints it. */
export function eventObject(id: string, body: ServiceEvent['body']): object {
  return { type: 'event', id: Number(id), ...body };
}
