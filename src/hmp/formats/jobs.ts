import type { JobList } from '../../commands/schemas/jobs.ts';
import { printable } from '../printable.ts';
import type { Answer } from './answer.ts';

type Jobs = Answer<typeof JobList>['jobs'];

/** `info jobs`: QEMU has no such list, only one of block jobs, whose form this follows. */
export function jobsText(jobs: Jobs): string {
  if (jobs.length === 0) return 'No active jobs\n';
  return jobs.map((job) => `${line(job)}\n`).join('');
}

function line(job: Jobs[number]): string {
  const why = job.error === undefined ? '' : `, error: ${printable(job.error)}`;
  const progress = `Completed ${job['current-progress']} of ${job['total-progress']} bytes`;
  return `Type ${job.type}, job ${job.id}: ${job.status}, ${progress}${why}`;
}
