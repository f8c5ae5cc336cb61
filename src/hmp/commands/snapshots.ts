import * as jobs from '../../commands/jobs.ts';
import * as table from '../../commands/snapshots.ts';
import type { MonitorCall, MonitorCommand, Parameter } from '../monitor-command.ts';

/* Snapshot commands. Each answers when its job has ended. */

const tag: Parameter = {
  name: 'tag',
  type: 'string',
  words: ({ snapshots }) => {
    const { all, partial } = snapshots.listVm();
    return [...all, ...partial].map((kept) => kept.tag);
  },
};

export const savevm: MonitorCommand = {
  names: ['savevm'],
  parameters: [{ ...tag, isOptional: true }],
  help: 'save the machine and its disks under a tag, and replace a snapshot with this tag; without a tag one is made of the time',
  run: (call) => {
    const { tag: name } = call.values;
    return withProgress(call, 'savevm', call.execute(table.saveVm, name === undefined ? {} : { name }));
  },
};

export const loadvm: MonitorCommand = {
  names: ['loadvm'],
  parameters: [tag],
  help: 'restore the machine and its disks from a snapshot',
  run: (call) => withProgress(call, 'loadvm', call.execute(table.loadVm, { tag: call.text('tag') })),
};

export const delvm: MonitorCommand = {
  names: ['delvm'],
  parameters: [tag],
  help: 'delete a snapshot',
  run: (call) => withProgress(call, 'delvm', call.execute(table.deleteVm, { tag: call.text('tag') })),
};

/** Reports the progress of the job at intervals until `work` is done. @returns the empty answer */
async function withProgress(call: MonitorCall, verb: string, work: Promise<unknown>): Promise<string> {
  const { progress } = call.io;
  if (progress === undefined) {
    await work;
    return '';
  }
  const timer = setInterval(() => {
    // An error of a progress report is ignored: `work` reports its own errors.
    progressText(call, verb).then(progress, () => {});
  }, call.progressEveryMs);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  return '';
}

async function progressText(call: MonitorCall, verb: string): Promise<string> {
  const { jobs: listed } = await call.execute(jobs.queryAllJobs);
  const job = listed.find(({ id, outcome }) => id.startsWith(`${verb}-`) && outcome === null);
  if (job === undefined) return `${verb}: waiting\n`;
  return `${verb}: ${job.status}, ${job['current-progress']} of ${job['total-progress']} bytes\n`;
}
