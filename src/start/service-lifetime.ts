import type { Domain } from '../domain/domain.ts';
import type { MigrationStatus } from '../domain/migration/status.ts';

/** Migrations under way that the end waits for: an outgoing one only, since an incoming one is given up at once. */
const ENDED: ReadonlySet<MigrationStatus> = new Set(['completed', 'failed', 'cancelled', 'none']);

/** What the end of the service waits for, named for people: `migration 3 to tcp:10.0.0.7:4444`, `job snap-1`. */
export function underWay({ history, jobs }: Pick<Domain, 'history' | 'jobs'>): readonly string[] {
  const [newest] = history.list({ limit: 1, cursor: null, direction: 'outgoing' }).items;
  const migrations =
    newest === undefined || ENDED.has(newest.status) ? [] : [`migration ${newest.id} to ${newest.uri}`];
  const running = jobs.list().filter(({ status }) => status !== 'concluded' && status !== 'null');
  return [...migrations, ...running.map(({ id, type }) => `job ${id} (${type})`)];
}
