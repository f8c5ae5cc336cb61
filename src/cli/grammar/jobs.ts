import { JOB_VERBS, type JobVerb, runJobsCommand, runJobVerbCommand, runShowJobCommand } from '../commands/jobs.ts';
import { JOBS_HELP, JOBS_LIST_HELP, jobVerbHelp } from '../help/jobs.ts';
import { parseWord } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command line of `vmferry jobs`. */

const DOES: Readonly<Record<JobVerb, string>> = {
  cancel: 'Cancel a job: its work is taken back. One that waits is over at once.',
  pause: 'Pause a job. It keeps what it has.',
  resume: 'Let a job go on that was paused.',
  finalize: 'Let a job take effect that waits for it.',
  complete: 'Let a job end that would go on until told to.',
  dismiss: 'Take a job that has ended from the list. Its id may be used again.',
};

type Options = CommonOptions & { readonly history?: true };

export function addJobs({ program, world, choose }: Grammar): void {
  const jobs = program
    .command('jobs')
    .usage('[list|show|cancel|pause|resume|finalize|complete|dismiss] [OPTIONS] [ID]')
    .description('List the jobs of a running service, and steer them.')
    .addHelpText('after', JOBS_HELP);
  addJsonOption(addServiceOptions(jobs));
  const list = jobs
    .command('list', { isDefault: true })
    .description('Print the jobs that wait or run, and those that ended lately. This is what jobs alone does.')
    .option('--history', 'all that ever ended instead, as far as the service keeps them')
    .option('-q, --quiet', 'ids alone')
    .addHelpText('after', JOBS_LIST_HELP);
  list.action(() => {
    const options = list.optsWithGlobals<Options>();
    const rest = { history: options.history ?? false, quiet: options.quiet ?? false };
    const common = commonOf(options, world);
    choose(() => runJobsCommand({ ...common, ...rest }, world));
  });
  addShow({ program: jobs, world, choose });
  for (const verb of JOB_VERBS) addVerb(verb, { program: jobs, world, choose });
}

function addShow({ program, world, choose }: Grammar): void {
  const command = program
    .command('show')
    .description('Print all there is to know of a job.')
    .argument('<ID>', 'name of the job', parseWord)
    .addHelpText('after', jobVerbHelp('show'));
  command.action((id: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runShowJobCommand({ ...common, id }, world));
  });
}

function addVerb(verb: JobVerb, { program, world, choose }: Grammar): void {
  const command = program
    .command(verb)
    .description(DOES[verb])
    .argument('<ID>', 'name of the job', parseWord)
    .addHelpText('after', jobVerbHelp(verb));
  command.action((id: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runJobVerbCommand({ ...common, id, verb }, world));
  });
}
