import { runMonitorCommand } from '../commands/monitor.ts';
import { runQmpCommand } from '../commands/qmp.ts';
import { MONITOR_HELP, QMP_HELP } from '../help/monitor.ts';
import { historyPath } from '../history-file.ts';
import { parseWord } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command lines of `vmferry monitor` and `vmferry qmp`. */

type MonitorOptions = CommonOptions & {
  readonly events: boolean;
  /** False: none is kept. */
  readonly history: boolean;
  readonly historyFile?: string;
};

export function addMonitor({ program, world, choose }: Grammar): void {
  const command = program
    .command('monitor')
    .description('Talk to the text monitor (HMP) of a running service, at a prompt or from standard input.')
    .option('--no-events', 'do not show the events of the service at the prompt')
    .option('--history-file <FILE>', 'where the prompt keeps what was typed (default: see below)', parseWord)
    .option('--no-history', 'keep nothing of what is typed')
    .addHelpText('after', MONITOR_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { events, history, historyFile, ...options } = command.optsWithGlobals<MonitorOptions>();
    const kept = history ? (historyFile ?? historyPath(world.environment)) : null;
    const common = commonOf(options, world);
    choose(() => runMonitorCommand({ ...common, historyFile: kept, showsEvents: events }, world));
  });
}

export function addQmp({ program, world, choose }: Grammar): void {
  const command = program
    .command('qmp')
    .description('Send one QMP command to a running service and print its answer.')
    .argument(
      '<JSON>',
      'the command, such as {"execute":"query-status"}, or its name alone; -: standard input',
      parseWord,
    )
    .addHelpText('after', QMP_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((text: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runQmpCommand({ ...common, text }, world));
  });
}
