import type { Static } from 'typebox';
import type { Command } from '../../commands/command.ts';
import * as table from '../../commands/migrate.ts';
import { coloLostHeartbeat } from '../../commands/replication.ts';
import type { Empty } from '../../commands/schemas/common.ts';
import type { Migration } from '../../commands/schemas/history.ts';
import { MigrationStatus } from '../../commands/schemas/migrate.ts';
import { migrationEnded } from '../../commands/waiting.ts';
import { printable } from '../line-reader.ts';
import type { MonitorCall, MonitorCommand, Parameter } from '../monitor-command.ts';

/* The commands that start, control and end a migration. */

const uri: Parameter = { name: 'uri', type: 'string', words: () => ['tcp:', 'unix:', 'file:', 'exec:', 'fd:'] };
const STATUSES = MigrationStatus.enum;

export const migrate: MonitorCommand = {
  names: ['migrate'],
  flags: [
    { flag: 'd', name: 'detach' },
    { flag: 'r', name: 'resume' },
  ],
  parameters: [uri],
  help: 'migrate the machine to an address, and answer when the migration has ended\n-d: answer as soon as it has started\n-r: resume a paused post-copy migration',
  run: async (call) => {
    const arguments_ = { uri: call.text('uri'), ...(call.flag('resume') && { resume: true }) };
    const started = (await call.execute(table.migrate, arguments_)) as Row;
    return call.flag('detach') ? '' : await untilEnded(call, started.id);
  },
};

export const migrateCancel: MonitorCommand = {
  names: ['migrate_cancel'],
  help: 'cancel the running migration',
  run: async (call) => {
    const { outcome } = await call.execute(table.migrateCancel);
    return TOO_LATE.has(outcome) ? `Nothing was cancelled: ${outcome}\n` : '';
  },
};

/** Outcomes of a cancel that came too late. */
const TOO_LATE: ReadonlySet<string> = new Set(['already-completed', 'already-failed', 'not-cancellable']);

export const migrateContinue: MonitorCommand = {
  names: ['migrate_continue'],
  parameters: [{ name: 'state', type: 'string', words: () => STATUSES }],
  help: 'resume a migration that waits in this state, such as pre-switchover',
  run: async (call) => {
    await call.execute(table.migrateContinue, { state: call.text('state') });
    return '';
  },
};

export const migrateIncoming: MonitorCommand = {
  names: ['migrate_incoming'],
  parameters: [uri],
  help: 'listen for a migration at an address, if the service was started with --incoming defer',
  run: async (call) => {
    await call.execute(table.migrateIncoming, { uri: call.text('uri') });
    return '';
  },
};

export const migrateRecover: MonitorCommand = {
  names: ['migrate_recover'],
  parameters: [uri],
  help: 'listen at an address for the source of a paused post-copy migration',
  run: async (call) => {
    await call.execute(table.migrateRecover, { uri: call.text('uri') });
    return '';
  },
};

export const migratePause = plain('migrate_pause', table.migratePause, 'pause a post-copy migration');
export const migrateStartPostcopy = plain(
  'migrate_start_postcopy',
  table.migrateStartPostcopy,
  'switch the running migration to post-copy; the capability postcopy-ram must be on at both ends before it starts',
);
export const colo = plain(
  'x_colo_lost_heartbeat',
  coloLostHeartbeat,
  'report to COLO that its peer has failed, so that this side takes over',
);

function plain(name: string, entry: Command<typeof Empty>, help: string): MonitorCommand {
  return {
    names: [name],
    help,
    run: async (call) => {
      await call.execute(entry);
      return '';
    },
  };
}

type Row = Readonly<Static<typeof Migration>>;

/** Statuses in which the migration waits for an operator or may last long. The command answers so that the prompt is free. */
const OPEN_ENDED: ReadonlySet<string> = new Set([
  'pre-switchover',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
  'colo',
]);

async function untilEnded(call: MonitorCall, id: string): Promise<string> {
  const { signal = new AbortController().signal } = call.io;
  const wait = { timeoutMs: call.progressEveryMs, signal };
  for (;;) {
    const { ended, migration } = await migrationEnded(call.domain, { id, role: call.role }, wait);
    if (ended) return endText(migration);
    if (OPEN_ENDED.has(migration.status)) return `Migration status: ${migration.status}\n`;
    if (signal.aborted) return 'The migration continues.\n';
    if (call.io.progress !== undefined) call.io.progress(await progressText(call));
  }
}

function endText({ status, error }: Row): string {
  if (status === 'completed') return '';
  if (status === 'cancelled' || error === null) return `Migration status: ${status}\n`;
  return `Error: ${printable(error.desc)}\n`;
}

async function progressText(call: MonitorCall): Promise<string> {
  const info = await call.execute(table.queryMigrate);
  const { 'first-pass-percent': percent, pass } = await call.execute(table.queryProgress);
  const parts = [`Migration status: ${info.status ?? 'none'}`, `${percent}% of the first pass`, `pass ${pass}`];
  if (info.ram !== undefined) {
    const { transferred, remaining, mbps } = info.ram;
    parts.push(`${kibibytes(transferred)} kbytes transferred`, `${kibibytes(remaining)} kbytes remaining`);
    parts.push(`${Number(mbps).toFixed(2)} mbps`);
  }
  return `${parts.join(', ')}\n`;
}

function kibibytes(bytes: number | bigint): bigint {
  return BigInt(bytes) / 1024n;
}
