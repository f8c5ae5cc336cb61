import { EXIT, type ExitStatus, unexpectedAnswer } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine, numberOf, stringOf, timeOf } from '../json-values.ts';
import { durationText, oneLine, sizeText, table } from '../output/plain-text.ts';
import type { ServiceClient } from '../service-client.ts';
import { type Common, withClient } from './run-reported.ts';

/* history, show, audit: past migrations and past commands of the service, newest first. */

type Entry = Readonly<Record<string, unknown>>;

/** Selection of list entries. */
type Listing = Common & {
  /** Null: all entries. */
  readonly limit: number | null;
  /** Times in ISO 8601; null: no bound. */
  readonly since: string | null;
  readonly until: string | null;
};

export function runHistoryCommand(command: Listing & { readonly quiet: boolean }, io: CommandIo): Promise<ExitStatus> {
  const { quiet, json } = command;
  return withClient({ ...command, operation: 'history' }, io, async (client) => {
    const migrations = await newest(client, { ...command, path: '/migrations', member: 'migrations' });
    if (json) io.out(jsonLine({ migrations }));
    else if (quiet) io.out(migrations.map(({ id }) => `${oneLine(String(id))}\n`).join(''));
    else io.out(table(MIGRATION_TITLES, migrations.map(migrationRow)));
    return EXIT.done;
  });
}

export function runAuditCommand(command: Listing, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'audit' }, io, async (client) => {
    const audit = await newest(client, { ...command, path: '/audit', member: 'audit' });
    if (command.json) io.out(jsonLine({ audit }));
    else io.out(table(AUDIT_TITLES, audit.map(auditRow)));
    return EXIT.done;
  });
}

/** Prints everything that the service has recorded of one migration. */
export function runShowCommand(command: Common & { readonly id: string }, io: CommandIo): Promise<ExitStatus> {
  const { id, json } = command;
  return withClient({ ...command, operation: `migration ${id}` }, io, async (client) => {
    const migration = await client.record({ method: 'GET', path: `/migrations/${encodeURIComponent(id)}` });
    io.out(json ? jsonLine(migration) : detailsOf(migration));
    return EXIT.done;
  });
}

async function newest(
  client: ServiceClient,
  {
    path,
    member,
    limit,
    since,
    until,
  }: Omit<Listing, keyof Common> & { readonly path: string; readonly member: string },
): Promise<readonly Entry[]> {
  const bounds = new URLSearchParams({
    ...(since === null ? {} : { 'started-after': since }),
    ...(until === null ? {} : { 'started-before': until }),
  });
  if (limit === null) return await client.pages(path, member, bounds);
  bounds.set('limit', String(limit));
  const { [member]: list } = await client.record({ method: 'GET', path: `${path}?${bounds}` });
  if (Array.isArray(list) && list.every(isRecord)) return list;
  throw unexpectedAnswer(`it has no list of ${member}`);
}

const MIGRATION_TITLES = [
  'ID',
  'DIRECTION',
  'STATUS',
  'ADDRESS',
  'STARTED',
  'TOOK',
  'SENT',
  'DOWNTIME',
  'GUEST',
  'ERROR',
];

function migrationRow(migration: Entry): (string | null)[] {
  const { id, direction, status, uri, guest, error } = migration;
  const code = isRecord(error) ? error.code : null;
  return [
    ...[id, direction, status, uri].map(stringOf),
    timeOf(migration['started-at']),
    tookOf(migration),
    sentOf(migration),
    downtimeOf(migration),
    ...[guest, code].map(stringOf),
  ];
}

const AUDIT_TITLES = ['AT', 'DOOR', 'CALLER', 'ADDRESS', 'COMMAND', 'OUTCOME', 'CODE', 'TOOK', 'ARGUMENTS'];
/** Length of the arguments in the table; --json prints the whole recorded text. */
const ARGUMENT_CHARACTERS_MAX = 60;

function auditRow(row: Entry): (string | null)[] {
  const { at, door, caller, address, command, outcome, code, arguments: given } = row;
  const took = numberOf(row['duration-ms']);
  const text = stringOf(given) ?? '';
  const shown = text.length > ARGUMENT_CHARACTERS_MAX ? `${text.slice(0, ARGUMENT_CHARACTERS_MAX)}…` : text;
  return [
    timeOf(at),
    ...[door, caller, address, command, outcome, code].map(stringOf),
    took === null ? null : `${Math.round(took)} ms`,
    shown,
  ];
}

function detailsOf(migration: Entry): string {
  const { error, settings, passes } = migration;
  const capabilities = isRecord(settings) && Array.isArray(settings.capabilities) ? settings.capabilities : [];
  const lines: (readonly [name: string, text: string | null])[] = [
    ...['id', 'direction', 'status', 'uri', 'guest'].map((name) => [name, stringOf(migration[name])] as const),
    ['shared id', stringOf(migration['shared-id'])],
    ['error', isRecord(error) ? `${error.code}: ${error.desc}` : null],
    ['started', timeOf(migration['started-at'])],
    ['took', tookOf(migration)],
    ['sent', sentOf(migration)],
    ['downtime', downtimeOf(migration)],
    ['capabilities', capabilities.length === 0 ? null : capabilities.join(', ')],
  ];
  const text = lines.filter(([, value]) => value !== null).map(([name, value]) => `${oneLine(`${name}: ${value}`)}\n`);
  const list = Array.isArray(passes) ? passes.filter(isRecord) : [];
  return list.length === 0 ? text.join('') : `${text.join('')}\n${table(PASS_TITLES, list.map(passRow))}`;
}

const PASS_TITLES = ['PASS', 'BEGAN', 'TOOK', 'SENT', 'PAGES', 'ZERO', 'DIRTY AFTER'];

function passRow(pass: Entry): (string | null)[] {
  const figure = (name: string): number => numberOf(pass[name]) ?? 0;
  return [
    String(figure('pass')),
    durationText(figure('started-ms')),
    durationText(figure('duration-ms')),
    sizeText(figure('sent-bytes')),
    String(figure('normal-pages')),
    String(figure('duplicate-pages')),
    sizeText(figure('dirty-bytes')),
  ];
}

function sentOf(migration: Entry): string | null {
  const bytes = numberOf(migration.transferred);
  return bytes === null ? null : sizeText(bytes);
}

function downtimeOf(migration: Entry): string | null {
  const ms = numberOf(migration.downtime);
  return ms === null ? null : `${ms} ms`;
}

/** Duration: the total time that the service measured, else the time between start and end. */
function tookOf(entry: Entry): string | null {
  const total = numberOf(entry['total-time']);
  if (total !== null) return durationText(total);
  const [start, end] = ['started-at', 'ended-at'].map((name) => Date.parse(stringOf(entry[name]) ?? ''));
  const ms = (end ?? Number.NaN) - (start ?? Number.NaN);
  return Number.isNaN(ms) ? null : durationText(Math.max(ms, 0));
}
