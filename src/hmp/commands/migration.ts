import type { Static } from 'typebox';
import { coloLostHeartbeat } from '../../commands/colo.ts';
import type { Command } from '../../commands/command.ts';
import * as table from '../../commands/migrate.ts';
import type { Empty } from '../../commands/schemas/common.ts';
import type { Migration } from '../../commands/schemas/history.ts';
import { MigrationStatus } from '../../commands/schemas/migrate.ts';
import { migrationEnded } from '../../commands/waiting.ts';
import type { MonitorCall, MonitorCommand, Parameter } from '../command.ts';
import { printable } from '../printable.ts';

/* The commands that start, steer and end a migration. */

const uri: Parameter = { name: 'uri', type: 'string', words: () => ['tcp:', 'unix:', 'file:', 'exec:', 'fd:'] };
const STATUSES = (MigrationStatus as unknown as { readonly enum: readonly string[] }).enum;

export const migrate: MonitorCommand = {
  names: ['migrate'],
  flags: [
    { flag: 'd', name: 'detach' },
    { flag: 'r', name: 'resume' },
  ],
  parameters: [uri],
  help: 'send the machine to an address, and answer when that has ended\n-d: answer as soon as it has begun\n-r: take up a paused post-copy migration',
  run: async (call) => {
    const arguments_ = { uri: call.text('uri'), ...(call.flag('resume') && { resume: true }) };
    const begun = (await call.ask(table.migrate, arguments_)) as Row;
    return call.flag('detach') ? '' : await untilEnded(call, begun.id);
  },
};

export const migrateCancel: MonitorCommand = {
  names: ['migrate_cancel'],
  help: 'cancel the migration under way',
  run: async (call) => {
    const { outcome } = await call.ask(table.migrateCancel);
    return TOO_LATE.has(outcome) ? `Nothing was cancelled: ${outcome}\n` : '';
  },
};

/** Outcomes of a cancel that came to nothing although there is, or was, a migration. */
const TOO_LATE: ReadonlySet<string> = new Set(['already-completed', 'already-failed', 'not-cancellable']);

export const migrateContinue: MonitorCommand = {
  names: ['migrate_continue'],
  parameters: [{ name: 'state', type: 'string', words: () => STATUSES }],
  help: 'let a migration go on that waits in this state, such as pre-switchover',
  run: async (call) => {
    await call.ask(table.migrateContinue, { state: call.text('state') });
    return '';
  },
};

export const migrateIncoming: MonitorCommand = {
  names: ['migrate_incoming'],
  parameters: [uri],
  help: 'wait for a migration at an address, if the start was with --incoming defer',
  run: async (call) => {
    await call.ask(table.migrateIncoming, { uri: call.text('uri') });
    return '';
  },
};

export const migrateRecover: MonitorCommand = {
  names: ['migrate_recover'],
  parameters: [uri],
  help: 'let a paused post-copy migration come in again at an address',
  run: async (call) => {
    await call.ask(table.migrateRecover, { uri: call.text('uri') });
    return '';
  },
};

export const migratePause = plain('migrate_pause', table.migratePause, 'pause a post-copy migration');
export const migrateStartPostcopy = plain(
  'migrate_start_postcopy',
  table.migrateStartPostcopy,
  'switch the migration under way to post-copy; the capability postcopy-ram must be on at both ends before it starts',
);
export const colo = plain(
  'x_colo_lost_heartbeat',
  coloLostHeartbeat,
  'tell COLO that its peer is not heard any more, so that this side takes over',
);

function plain(name: string, entry: Command<typeof Empty>, help: string): MonitorCommand {
  return {
    names: [name],
    help,
    run: async (call) => {
      await call.ask(entry);
      return '';
    },
  };
}

type Row = Readonly<Static<typeof Migration>>;

/** States in which an operator is waited for, or the guest runs at the other side: the prompt is needed again. */
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
  const patience = { timeoutMs: call.progressEveryMs, signal };
  for (;;) {
    const { ended, migration } = await migrationEnded(call.domain, { id, role: call.role }, patience);
    if (ended) return endText(migration);
    if (OPEN_ENDED.has(migration.status)) return `Migration status: ${migration.status}\n`;
    if (signal.aborted) return 'The migration goes on by itself.\n';
    if (call.io.progress !== undefined) call.io.progress(await progressText(call));
  }
}

function endText({ status, error }: Row): string {
  if (status === 'completed') return '';
  if (status === 'cancelled' || error === null) return `Migration status: ${status}\n`;
  return `Error: ${printable(error.desc)}\n`;
}

async function progressText(call: MonitorCall): Promise<string> {
  const info = await call.ask(table.queryMigrate);
  const { 'first-pass-percent': percent, pass } = await call.ask(table.queryProgress);
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
