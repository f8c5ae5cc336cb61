import { Option } from 'commander';
import { runConsoleCommand, runDirtyRateCommand, runStopContCommand, runWorkloadCommand } from '../commands/machine.ts';
import { parseAssignment, parseCount, parseMeasureSeconds } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  EXIT_STATUS,
  exitStatus,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry stop`, `cont`, `console`, `workload` and `dirty-rate`. */

export function addMachine(grammar: Grammar): void {
  addStopCont('stop', 'Stop the guest. It keeps its state; "vmferry cont" resumes it.', grammar);
  addStopCont('cont', 'Resume a stopped guest.', grammar);
  addConsole(grammar);
  addWorkload(grammar);
  addDirtyRate(grammar);
}

function addStopCont(verb: 'stop' | 'cont', description: string, { program, io, choose }: Grammar): void {
  const command = program.command(verb).description(description).addHelpText('after', stopContHelp(verb));
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runStopContCommand({ ...common, verb }, io));
  });
}

function addConsole({ program, io, choose }: Grammar): void {
  const command = program
    .command('console')
    .description('Print the last 4 KiB that the guest has written to its console.')
    .addHelpText('after', CONSOLE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runConsoleCommand(common, io));
  });
}

function addWorkload({ program, io, choose }: Grammar): void {
  const command = program
    .command('workload')
    .description('Change the workload of the synthetic guest while it runs. Without NAME=VALUE: print it.')
    .argument('[NAME=VALUE...]', 'rate, span or pattern, and its new value', parseAssignment)
    .addHelpText('after', WORKLOAD_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((assignments: ReturnType<typeof parseAssignment> | undefined) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runWorkloadCommand({ ...common, assignments: assignments ?? [] }, io));
  });
}

type DirtyRateOptions = CommonOptions & {
  readonly time: number;
  readonly mode: string;
  readonly samplePages?: number;
  readonly last?: true;
};

function addDirtyRate({ program, io, choose }: Grammar): void {
  const command = program
    .command('dirty-rate')
    .description('Measure and print how fast the guest writes to its memory.')
    .addOption(
      new Option('--time <SECONDS>', 'how long to measure, 0.05 to 60').default(1).argParser(parseMeasureSeconds),
    )
    .addOption(
      new Option('--mode <MODE>', 'method: page samples, or exact counts')
        .default('page-sampling')
        .choices(['page-sampling', 'dirty-bitmap', 'dirty-ring']),
    )
    .option('--sample-pages <N>', 'pages that page-sampling reads in each GiB (default: 512)', parseCount)
    .option('--last', 'print the last result without a new measurement')
    .addHelpText('after', DIRTY_RATE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { time, mode, samplePages, last, ...options } = command.optsWithGlobals<DirtyRateOptions>();
    const common = commonOf(options, io);
    const pages = samplePages === undefined ? {} : { 'sample-pages': samplePages };
    const measure = { 'calc-time': Math.round(time * 1000), 'calc-time-unit': 'millisecond', mode, ...pages };
    choose(() => runDirtyRateCommand({ ...common, measure: last ? null : measure }, io));
  });
}

/** Below the options of stop or cont. */
export function stopContHelp(verb: 'stop' | 'cont'): string {
  return join(
    ['Output:', '  The run state afterwards; with --json {"running":…,"status":…}.'],
    ENVIRONMENT,
    EXIT_STATUS,
    ['Examples:', `  vmferry ${verb}`],
  );
}

export const CONSOLE_HELP = join(
  ['Output:', '  The text without control characters except line ends and tabs; with --json {"text":…}.'],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry console', '  vmferry console | tail -1'],
);

export const WORKLOAD_HELP = join(
  [
    'Values:',
    '  rate     bytes that the guest writes per second, with k, M or G; 0: idle',
    '  span     bytes of RAM that it writes to, with k, M or G',
    '  pattern  hot, seq or random',
  ],
  ['Output:', '  Lines of NAME=VALUE; with --json the workload as an object.'],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry workload',
    '  vmferry workload rate=1.5M span=64M pattern=random',
    '  vmferry workload rate=0',
  ],
);

export const DIRTY_RATE_HELP = join(
  [
    'Output:',
    '  20 MiB/s (page-sampling, in 1 s), and with --mode dirty-ring a line for each vCPU; with --json the answer of',
    '  GET /dirty-rate. Ctrl-C ends only the wait: the measurement continues, and --last prints its result later.',
  ],
  ENVIRONMENT,
  exitStatus({ failed: '--last: nothing has been measured yet' }),
  [
    'Examples:',
    '  vmferry dirty-rate',
    '  vmferry dirty-rate --time 0.5 --mode dirty-bitmap',
    '  vmferry dirty-rate --last',
  ],
);
