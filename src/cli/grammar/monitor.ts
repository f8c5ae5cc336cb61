import { runMonitorCommand, runQmpCommand } from '../commands/monitor.ts';
import { historyPath } from '../monitor-prompt.ts';
import { parseWord } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  exitStatus,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry monitor` and `vmferry qmp`. */

type MonitorOptions = CommonOptions & {
  readonly events: boolean;
  /** False: no history is kept. */
  readonly history: boolean;
  readonly historyFile?: string;
};

export function addMonitor({ program, io, choose }: Grammar): void {
  const command = program
    .command('monitor')
    .description('Use the text monitor (HMP) of a running service, at a prompt or from standard input.')
    .option('--no-events', 'do not show the events of the service at the prompt')
    .option('--history-file <FILE>', 'file for the history of the prompt (default: see below)', parseWord)
    .option('--no-history', 'keep no history')
    .addHelpText('after', MONITOR_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { events, history, historyFile, ...options } = command.optsWithGlobals<MonitorOptions>();
    const kept = history ? (historyFile ?? historyPath(io.environment)) : null;
    const common = commonOf(options, io);
    choose(() => runMonitorCommand({ ...common, historyFile: kept, showsEvents: events }, io));
  });
}

export function addQmp({ program, io, choose }: Grammar): void {
  const command = program
    .command('qmp')
    .description('Send one QMP command to a running service and print its answer.')
    .argument(
      '<JSON>',
      'the command, such as {"execute":"query-status"}, or only its name; -: standard input',
      parseWord,
    )
    .addHelpText('after', QMP_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((text: string) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runQmpCommand({ ...common, text }, io));
  });
}

const EXIT_STATUS = exitStatus({ refused: 'the service refused, or an answer is an error' });

/** Below the options of monitor. */
export const MONITOR_HELP = join(
  [
    'At a terminal:',
    '  The commands are those of QEMU\'s monitor; "help" lists them. Tab completes commands, parameters,',
    '  capabilities and tags. Events of the service appear above the prompt. Ctrl-C clears the line, or ends the',
    '  wait for an answer; quit or Ctrl-D ends the monitor, never the machine. The history is in a file of yours:',
    '  $XDG_STATE_HOME/vmferry/monitor-history, or ~/.local/state/vmferry/monitor-history.',
  ],
  [
    'Elsewhere:',
    '  Each line of standard input is sent after the answer to the line before, and only the answers are printed.',
    '  With --json, also at a terminal, each answer is {"type":"output","line":…,"text":…}. The status is 4 if a',
    '  line is refused or the last line of its answer is "Error: …"; the following lines are sent all the same.',
  ],
  [...ENVIRONMENT, '  NO_COLOR          if it is set, no colours'],
  EXIT_STATUS,
  ['Examples:', '  vmferry monitor', '  echo "info migrate" | vmferry monitor'],
);

/** Below the options of qmp. */
export const QMP_HELP = join(
  [
    'Output:',
    '  {"return":…}, or {"error":{"class":…,"desc":…}} with status 4; on several lines, with --json on one.',
    '  All integers are exact. An "id" is returned as it was given.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry qmp query-status',
    '  vmferry qmp \'{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":18446744073709551615}}\'',
    '  vmferry qmp - <command.json',
  ],
);
