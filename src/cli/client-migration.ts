import { unexpectedAnswer } from './client-failure.ts';
import { isRecord, numberOf } from './json-values.ts';
import { clockText, sizeText } from './output/plain-text.ts';
import type { Shown } from './output/progress-display.ts';
import type { ServiceClient } from './service-client.ts';

/* A migration: the members of the service's answers that the client uses, and the progress that it displays. */

export type Figures = Readonly<Record<string, unknown>>;

export type Migration = {
  readonly id: string;
  readonly uri: string;
  readonly status: string;
  /** True once the migration no longer changes. */
  readonly isConcluded: boolean;
  readonly isCompleted: boolean;
  /** Final status; null while the migration runs. */
  readonly outcome: string | null;
  readonly error: { readonly code: string; readonly detail: string } | null;
  /** Side that has the guest after the end: `here`, `there`, `there, unconfirmed`, `unknown`; null before the end. */
  readonly guest: string | null;
  /** Remark of the service on a migration that did not fail. */
  readonly note: string | null;
  /** Answer of `GET /migrate/progress`; null after the end, or if it is about another migration. */
  readonly progress: Figures | null;
  /** The whole answer of the service, for --json. */
  readonly raw: Figures;
};

const ENDED: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);

/** Decodes a migration. @throws Failure if the value is no migration. */
export function decodeMigration(value: unknown, progress: Figures | null = null): Migration {
  if (!isRecord(value)) throw unexpectedAnswer('it is no migration');
  const { id, uri, status, error = null, guest = null, note = null } = value;
  if (typeof id !== 'string' || typeof status !== 'string') throw unexpectedAnswer('the migration has no id or status');
  const isConcluded = ENDED.has(status);
  return {
    id,
    uri: typeof uri === 'string' ? uri : '',
    status,
    isConcluded,
    isCompleted: status === 'completed',
    outcome: isConcluded ? status : null,
    error: isRecord(error) ? { code: String(error.code), detail: String(error.desc ?? '') } : null,
    guest: typeof guest === 'string' ? guest : null,
    note: typeof note === 'string' ? note : null,
    progress: isConcluded ? null : progress,
    raw: value,
  };
}

/** A panic of the guest, as `GET /machine` shows it. */
export type Panic = { readonly kind: string; readonly detail: string };

/** The panic of the guest; null if there is none, or if the machine cannot report one. */
export async function lookAtPanic(client: ServiceClient): Promise<Panic | null> {
  return panicOf(await client.record({ method: 'GET', path: '/machine' }));
}

/** The panic in an answer of `GET /machine`. */
export function panicOf({ panic = null }: Figures): Panic | null {
  if (panic === null) return null;
  const { kind = 'unknown', detail = '' } = isRecord(panic) ? panic : { kind: panic };
  return { kind: String(kind), detail: String(detail) };
}

/** Asks for a migration, and for its progress while it runs. */
export async function lookAtMigration(client: ServiceClient, id: string, deadlineMs: number): Promise<Migration> {
  const seen = decodeMigration(
    await client.ask({ method: 'GET', path: `/migrations/${encodeURIComponent(id)}`, deadlineMs }),
  );
  if (seen.isConcluded) return seen;
  return decodeMigration(seen.raw, await client.record({ method: 'GET', path: '/migrate/progress', deadlineMs }));
}

/** Cancels the migration. @returns `cancelled`, `already-completed`, `already-failed`, `not-cancellable` or `nothing-to-cancel`. */
export async function cancelMigration(client: ServiceClient): Promise<string> {
  const { outcome } = await client.record({ method: 'POST', path: '/migrate/cancel' });
  if (typeof outcome !== 'string') throw unexpectedAnswer('the cancel has no outcome');
  return outcome;
}

/** The displayed progress: pass, rate, remaining bytes, expected downtime and time to go. */
export function shownMigration({ status, progress, isConcluded }: Migration): Shown {
  if (progress === null) return { state: status, status, fraction: null, figures: [], isOver: isConcluded };
  const figure = (name: string): number => numberOf(progress[name]) ?? 0;
  const percent = figure('first-pass-percent');
  const pass = figure('pass');
  const figures =
    pass === 0
      ? []
      : [
          { text: `${Math.floor(percent)} %`, rank: 0 },
          { text: `pass ${pass}`, rank: 3 },
          { text: `${sizeText(Math.round(figure('rate')))}/s`, rank: 1 },
          { text: `${sizeText(figure('remaining'))} left`, rank: 2 },
          { text: `downtime ${Math.round(figure('expected-downtime'))} ms`, rank: 4 },
          { text: timeToGo(progress), rank: 0 },
        ];
  return {
    state: [status, pass, percent, figure('remaining')].join(' '),
    status,
    fraction: pass === 0 ? null : Math.min(percent / 100, 1),
    figures,
    isOver: isConcluded,
  };
}

/** `0:05 to go`, `0:05 to 0:20 to go` or `time to go unknown`. */
export function timeToGo(progress: Figures): string {
  const range = progress['time-to-go'];
  const [min, max] = isRecord(range) ? [numberOf(range.min), numberOf(range.max)] : [null, null];
  if (min === null || max === null) return 'time to go unknown';
  const [from, to] = [clockText(min), clockText(max)];
  return from === to ? `${from} to go` : `${from} to ${to} to go`;
}

/** The service's verdict on the convergence of the migration, with its reason; null if there is none. */
export function verdictOf(progress: Figures | null): { readonly verdict: string; readonly reason: string } | null {
  const value = progress?.verdict;
  if (!isRecord(value) || typeof value.verdict !== 'string') return null;
  return { verdict: value.verdict, reason: String(value.reason ?? '') };
}
