// Jobs of an app whose work is controlled by a test.

import type { App } from '../../src/app.ts';
import type { JobSpec } from '../../src/domain/jobs/job-spec.ts';
import { Jobs } from '../../src/domain/jobs/jobs.ts';
import type { JobRecord } from '../../src/domain/ports/store.ts';
import { settled, Work } from '../domain/jobs/world.ts';

/** Starts a job of any kind, past the commands, which only start those that there are. */
export function startJob({ domain }: Pick<App, 'domain'>, spec: JobSpec): JobRecord {
  if (!(domain.jobs instanceof Jobs)) throw new TypeError('the jobs of this domain cannot be started here');
  return domain.jobs.start(spec);
}

/** States in which the work of a test is easily held. */
export type HeldState = 'running' | 'paused' | 'ready' | 'pending' | 'concluded';

/** Starts a job and brings it into a state. */
export async function jobIn(app: Pick<App, 'domain'>, id: string, state: HeldState): Promise<Work> {
  const work = new Work();
  const run: Work['run'] = async (control) => {
    control.control(work.hooks);
    if (state === 'ready') await control.ready();
    else await work.run(control);
  };
  const about = { type: 'snapshot-save', resources: ['node:disk0'], details: { tag: 'x' } };
  startJob(app, { ...work.spec(id, about), run, autoFinalize: state !== 'pending' });
  if (state === 'pending' || state === 'concluded') work.succeed();
  await settled();
  if (state === 'paused') app.domain.jobs.apply(id, 'pause');
  return work;
}
