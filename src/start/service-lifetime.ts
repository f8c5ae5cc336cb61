import { randomUUID } from 'node:crypto';
import { isUuid } from '../config/flag-values.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import type { MigrationStatus } from '../domain/migration/migration-status.ts';
import type { Identity } from '../domain/ports/process.ts';
import type { Store } from '../domain/ports/store.ts';

/* The service process between its start and its end: readiness, signals, and the work that its end waits for. */

/** Answer of `GET /readyz`. The state of the guest is reported, but does not affect `ready`. */
export function readinessOf(domain: Domain, { data, isDraining }: { data: string; isDraining: boolean }) {
  const service = isDraining ? 'shutting down' : 'ok';
  return { ready: data === 'ok' && !isDraining, checks: { data, service, guest: guestOf(domain) } };
}

function guestOf({ machine }: Domain): string {
  const panic = machine.info().guest?.panic ?? null;
  const { status } = machine.status();
  if (panic !== null) return `${status}: ${panic.kind}: ${panic.detail}`;
  return status === 'guest-panicked' || status === 'internal-error' ? status : 'ok';
}

const ENDED: ReadonlySet<MigrationStatus> = new Set(['completed', 'failed', 'cancelled', 'none']);

/**
 * Descriptions of the work that the end of the service waits for: `migration 3 to tcp:10.0.0.7:4444`, `job snap-1`. An
 * incoming migration is not among it: the end of the service ends it at once.
 */
export function pendingWork({ history, jobs }: Pick<Domain, 'history' | 'jobs'>): readonly string[] {
  const [newest] = history.list({ limit: 1, cursor: null, direction: 'outgoing' }).items;
  const migrations =
    newest === undefined || ENDED.has(newest.status) ? [] : [`migration ${newest.id} to ${newest.uri}`];
  const running = jobs.list().filter(({ status }) => status !== 'concluded' && status !== 'null');
  return [...migrations, ...running.map(({ id, type }) => `job ${id} (${type})`)];
}

/** Largest number of jobs and migrations that the message lists. */
const WORK_SHOWN_MAX = 5;

/** Message about pending work for the operator who stops the service; null if the service ends at once. */
export function waitingMessage(pending: readonly string[], drainTimeoutMs: number): string | null {
  if (pending.length === 0 || drainTimeoutMs === 0) return null;
  const shown = pending.slice(0, WORK_SHOWN_MAX).join(', ');
  const more = pending.length > WORK_SHOWN_MAX ? ` and ${pending.length - WORK_SHOWN_MAX} more` : '';
  const limit = `for at most ${drainTimeoutMs / 1000} s; a second Ctrl-C or SIGTERM ends the service immediately`;
  return `stopping: waiting for ${shown}${more}, ${limit}`;
}

/** Calls `first` at the first of the signals. The second one calls `second` and ends the process as without handlers. */
export function onSignals(
  signals: readonly NodeJS.Signals[],
  { first, second }: { readonly first: () => void; readonly second: () => void },
): void {
  const replace = (before: NodeJS.SignalsListener, now: NodeJS.SignalsListener | null): void => {
    for (const signal of signals) {
      process.off(signal, before);
      if (now !== null) process.on(signal, now);
    }
  };
  const onFirst = (): void => {
    replace(onFirst, onSecond);
    first();
  };
  const onSecond = (signal: NodeJS.Signals): void => {
    replace(onSecond, null);
    second();
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, onFirst);
}

/** Interval of checks for the parent process, in milliseconds. */
const PARENT_CHECK_MS = 500;

/** Calls `onEnd` when the parent process has ended. npm passes SIGTERM and SIGINT on, but not SIGHUP, nor its own end. */
export function whenParentEnds(onEnd: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onEnd();
  }, PARENT_CHECK_MS);
  timer.unref();
}

/** Key of the store; its value is `yes` once --uuid has been given. */
const UUID_SET = 'uuid-set';

/** Name and uuid from the flags; the uuid is null if it was not given. */
export type GivenIdentity = { readonly name: string; readonly uuid: string | null };

/** The given uuid, or the stored one, or a new one. Stores the uuid, and whether it was ever given. */
export function identityOf(machine: GivenIdentity, store: Pick<Store, 'identity'>): Identity {
  const kept = store.identity.get('uuid');
  if (machine.uuid === null && kept !== null && !isUuid(kept)) {
    const advice = 'Restore the data directory from a copy, or give the uuid with --uuid.';
    throw new DomainError('stored_settings_unreadable', `The stored uuid is '${kept.slice(0, 80)}'. ${advice}`);
  }
  const uuid = machine.uuid ?? kept ?? randomUUID();
  if (uuid !== kept) store.identity.set('uuid', uuid);
  const isUuidSet = machine.uuid !== null || store.identity.get(UUID_SET) === 'yes';
  if (isUuidSet) store.identity.set(UUID_SET, 'yes');
  return { name: machine.name, uuid, isUuidSet };
}
