import { type Figures, panicOf } from './client-migration.ts';
import { isRecord } from './json-values.ts';
import type { Overview } from './output/observe-text.ts';

/* What `vmferry status --check` calls wrong: one sentence for each finding. */

/** Run states that a guest does not leave by itself, and that no operator chose. */
const BROKEN: ReadonlySet<unknown> = new Set(['guest-panicked', 'internal-error', 'io-error']);

/** Findings about the guest; `newest` is the newest migration of the history, null if there is none. */
export function guestProblems({ status, machine }: Overview, newest: Figures | null): readonly string[] {
  const panic = panicOf(machine);
  if (panic !== null) return [`the guest panicked (${panic.kind}): ${panic.detail}`];
  if (BROKEN.has(status.status)) return [`the guest cannot go on: its run state is ${status.status}`];
  if (newest?.guest !== 'unknown' || status.running === true) return [];
  return [`which side has the guest after migration ${newest.id} is not known; docs/operating.md says what to do`];
}

/** Findings of `GET /readyz`; the answer of a service that is ready has none. */
export function readinessProblems({ ready, checks = null }: Figures): readonly string[] {
  if (ready === true) return [];
  const failing = Object.entries(isRecord(checks) ? checks : {}).filter(
    ([name, state]) => name !== 'guest' && state !== 'ok',
  );
  if (failing.length === 0) return ['the service is not ready'];
  return failing.map(([name, state]) => `the service is not ready: ${name}: ${state}`);
}
