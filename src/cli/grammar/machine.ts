import { Option } from 'commander';
import { runDirtyRateCommand } from '../commands/dirty-rate.ts';
import { runConsoleCommand, runStopContCommand, runWorkloadCommand } from '../commands/machine.ts';
import { CONSOLE_HELP, DIRTY_RATE_HELP, stopContHelp, WORKLOAD_HELP } from '../help/machine.ts';
import { parseAssignment, parseCount, parseMeasureSeconds } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command lines of `vmferry stop`, `cont`, `console`, `workload` and `dirty-rate`: the guest itself. */

export function addMachine(grammar: Grammar): void {
  addStopCont('stop', 'Stop the guest. It keeps everything, and "vmferry cont" lets it go on.', grammar);
  addStopCont('cont', 'Let the guest go on that was stopped.', grammar);
  addConsole(grammar);
  addWorkload(grammar);
  addDirtyRate(grammar);
}

function addStopCont(verb: 'stop' | 'cont', description: string, { program, world, choose }: Grammar): void {
  const command = program.command(verb).description(description).addHelpText('after', stopContHelp(verb));
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runStopContCommand({ ...common, verb }, world));
  });
}

function addConsole({ program, world, choose }: Grammar): void {
  const command = program
    .command('console')
    .description('Print what the guest has written to its console: the newest 4 KiB.')
    .addHelpText('after', CONSOLE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runConsoleCommand(common, world));
  });
}

function addWorkload({ program, world, choose }: Grammar): void {
  const command = program
    .command('workload')
    .description('Change what the synthetic guest does, while it runs. Without any NAME=VALUE it prints that.')
    .argument('[NAME=VALUE...]', 'rate, span or pattern, and the new value', parseAssignment)
    .addHelpText('after', WORKLOAD_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((assignments: ReturnType<typeof parseAssignment> | undefined) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runWorkloadCommand({ ...common, assignments: assignments ?? [] }, world));
  });
}

type DirtyRateOptions = CommonOptions & {
  readonly time: number;
  readonly mode: string;
  readonly samplePages?: number;
  readonly last?: true;
};

function addDirtyRate({ program, world, choose }: Grammar): void {
  const command = program
    .command('dirty-rate')
    .description('Measure how fast the guest writes to its memory, and print it.')
    .addOption(
      new Option('--time <SECONDS>', 'how long to measure, 0.05 to 60').default(1).argParser(parseMeasureSeconds),
    )
    .addOption(
      new Option('--mode <MODE>', 'how: by samples of pages, or exactly')
        .default('page-sampling')
        .choices(['page-sampling', 'dirty-bitmap', 'dirty-ring']),
    )
    .option('--sample-pages <N>', 'pages to look at for each GiB, with page-sampling (default: 512)', parseCount)
    .option('--last', 'measure nothing, and print the newest result')
    .addHelpText('after', DIRTY_RATE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { time, mode, samplePages, last, ...options } = command.optsWithGlobals<DirtyRateOptions>();
    const common = commonOf(options, world);
    const pages = samplePages === undefined ? {} : { 'sample-pages': samplePages };
    const measure = { 'calc-time': Math.round(time * 1000), 'calc-time-unit': 'millisecond', mode, ...pages };
    choose(() => runDirtyRateCommand({ ...common, measure: last ? null : measure }, world));
  });
}
