import * as jobs from '../../commands/jobs.ts';
import * as table from '../../commands/snapshots.ts';
import type { MonitorCall, MonitorCommand, Parameter } from '../command.ts';

/* Snapshots: each answers when the work is done. */

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
  help: 'save the machine and its disks under a tag, in the place of a snapshot that has it; without a tag one is made of the time',
  run: (call) => {
    const { tag: name } = call.values;
    return withProgress(call, 'savevm', call.ask(table.saveVm, name === undefined ? {} : { name }));
  },
};

export const loadvm: MonitorCommand = {
  names: ['loadvm'],
  parameters: [tag],
  help: 'put a snapshot in the place of the machine and its disks',
  run: (call) => withProgress(call, 'loadvm', call.ask(table.loadVm, { tag: call.text('tag') })),
};

export const delvm: MonitorCommand = {
  names: ['delvm'],
  parameters: [tag],
  help: 'delete a snapshot',
  run: (call) => withProgress(call, 'delvm', call.ask(table.deleteVm, { tag: call.text('tag') })),
};

/** Tells now and then how far the job has come, and answers with nothing. */
async function withProgress(call: MonitorCall, verb: string, work: Promise<unknown>): Promise<string> {
  const { progress } = call.io;
  if (progress === undefined) {
    await work;
    return '';
  }
  const timer = setInterval(() => {
    // What is told on the way is not worth failing for: the work has its own answer.
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
  const { jobs: listed } = await call.ask(jobs.queryAllJobs);
  const job = listed.find(({ id, outcome }) => id.startsWith(`${verb}-`) && outcome === null);
  if (job === undefined) return `${verb}: waiting\n`;
  return `${verb}: ${job.status}, ${job['current-progress']} of ${job['total-progress']} bytes\n`;
}
