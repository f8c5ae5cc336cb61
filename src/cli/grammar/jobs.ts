import { JOB_VERBS, type JobVerb, runJobsCommand, runJobVerbCommand, runShowJobCommand } from '../commands/jobs.ts';
import { parseWord } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  EXIT_STATUS,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry jobs`. */

const DESCRIPTIONS: Readonly<Record<JobVerb, string>> = {
  cancel: 'Cancel a job: its changes are undone. A job that has not started ends at once.',
  pause: 'Pause a job. It keeps its work so far.',
  resume: 'Resume a paused job.',
  finalize: 'Finalize a job that waits for it: its changes take effect.',
  complete: 'End a job that runs until it is asked to end.',
  dismiss: 'Remove an ended job from the list. Its id may be used again.',
};

type Options = CommonOptions & { readonly history?: true };

export function addJobs({ program, io, choose }: Grammar): void {
  const jobs = program
    .command('jobs')
    .usage('[list|show|cancel|pause|resume|finalize|complete|dismiss] [OPTIONS] [ID]')
    .description('List and control the jobs of a running service.')
    .addHelpText('after', JOBS_HELP);
  addJsonOption(addServiceOptions(jobs));
  const list = jobs
    .command('list', { isDefault: true })
    .description('Print the jobs that wait or run, and jobs that ended recently. The default of jobs.')
    .option('--history', 'print all recorded ended jobs instead')
    .option('-q, --quiet', 'print only ids')
    .addHelpText('after', JOBS_LIST_HELP);
  list.action(() => {
    const options = list.optsWithGlobals<Options>();
    const rest = { history: options.history ?? false, quiet: options.quiet ?? false };
    const common = commonOf(options, io);
    choose(() => runJobsCommand({ ...common, ...rest }, io));
  });
  addShow({ program: jobs, io, choose });
  for (const verb of JOB_VERBS) addVerb(verb, { program: jobs, io, choose });
}

function addShow({ program, io, choose }: Grammar): void {
  const command = program
    .command('show')
    .description('Print all members of a job.')
    .argument('<ID>', 'id of the job', parseWord)
    .addHelpText('after', jobVerbHelp('show'));
  command.action((id: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runShowJobCommand({ ...common, id }, io));
  });
}

function addVerb(verb: JobVerb, { program, io, choose }: Grammar): void {
  const command = program
    .command(verb)
    .description(DESCRIPTIONS[verb])
    .argument('<ID>', 'id of the job', parseWord)
    .addHelpText('after', jobVerbHelp(verb));
  command.action((id: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runJobVerbCommand({ ...common, id, verb }, io));
  });
}

/** Below the list of verbs. */
export const JOBS_HELP = join(
  [
    'Snapshots are saved, loaded, verified and deleted by jobs. "vmferry snapshot" starts them and waits for them;',
    'this command lists and controls them. Each verb has a --help: "vmferry jobs list --help".',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry jobs                       jobs that wait, run, or ended recently',
    '  vmferry jobs --history             all recorded ended jobs',
    '  vmferry jobs cancel snap-1         cancel a job and undo its changes',
  ],
);

/** Below the options of list. */
export const JOBS_LIST_HELP = join(ENVIRONMENT, EXIT_STATUS, [
  'Examples:',
  '  vmferry jobs',
  '  vmferry jobs --history',
  '  vmferry jobs --json | jq -r \'.jobs[] | select(.status == "running") | .id\'',
]);

/** Below the options of show and of the verbs. */
export function jobVerbHelp(verb: string): string {
  const answer =
    verb === 'show'
      ? ['Output:', '  A line for each member; with --json the job as the service gives it.']
      : [
          'Output:',
          '  The state of the job; with --json the whole job. A verb that its state does not allow is refused: status 4.',
        ];
  return join(answer, ENVIRONMENT, EXIT_STATUS, ['Examples:', `  vmferry jobs ${verb} snap-1`]);
}
