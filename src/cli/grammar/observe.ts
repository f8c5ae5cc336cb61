import { Option } from 'commander';
import { runEventsCommand, runStatusCommand } from '../commands/observe.ts';
import { parseEventNumber, parseInterval, WATCH_SECONDS_DEFAULT } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  exitStatus,
  type Grammar,
  join,
  reconnectOption,
} from './common-options.ts';

/* Options and help of `vmferry status` and `vmferry events`. */

type StatusOptions = CommonOptions & {
  readonly watch?: true;
  readonly check?: true;
  readonly interval: number;
  readonly reconnect: number;
};

export function addStatus({ program, io, choose }: Grammar): void {
  const command = program
    .command('status')
    .description('Print the state of the machine of a running service and of its migration.')
    .option('--watch', 'print the status repeatedly, until Ctrl-C')
    .addOption(
      new Option(
        '--check',
        'end with status 1 if the guest has panicked, may be elsewhere, or the service is not ready',
      ).conflicts('watch'),
    )
    .addOption(
      new Option('--interval <SECONDS>', 'interval of --watch').default(WATCH_SECONDS_DEFAULT).argParser(parseInterval),
    )
    .addOption(reconnectOption())
    .addHelpText('after', STATUS_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { watch, check, interval, reconnect, ...options } = command.optsWithGlobals<StatusOptions>();
    const times = { everyMs: interval * 1000, reconnectMs: reconnect * 1000 };
    const common = commonOf(options, io);
    choose(() => runStatusCommand({ ...common, ...times, watches: watch ?? false, checks: check ?? false }, io));
  });
}

type EventsOptions = CommonOptions & { readonly since?: string; readonly reconnect: number };

export function addEvents({ program, io, choose }: Grammar): void {
  const command = program
    .command('events')
    .description('Print the events of a running service as they happen, until Ctrl-C.')
    .option('--since <N>', 'begin after event N; 0: with the oldest recorded event', parseEventNumber)
    .addOption(reconnectOption())
    .addHelpText('after', EVENTS_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { since, reconnect, ...options } = command.optsWithGlobals<EventsOptions>();
    const common = commonOf(options, io);
    choose(() => runEventsCommand({ ...common, since: since ?? null, reconnectMs: reconnect * 1000 }, io));
  });
}

/** Both commands may run as long as the service. */
const LOST = 'no answer, a service that stays lost, or an unexpected answer; or output that could not be written';

/** Below the options of status. */
export const STATUS_HELP = join(
  [
    'Output:',
    '  The machine, its run state, its guest, and the current or last migration. --watch overwrites it on a',
    '  terminal, and elsewhere prints a line after each change. With --json one object on each line:',
    '  {"status":…,"machine":…,"migrate":…,"progress":…}, the answers of GET /status, /machine, /migrate and',
    '  /migrate/progress.',
    '  --check prints each problem on standard error (--json: "problems"), and ends with status 1 if there is one.',
  ],
  ENVIRONMENT,
  exitStatus({ done: 'done; --watch: the reader of the output has closed it', unreachable: LOST }),
  [
    'Examples:',
    '  vmferry status',
    '  vmferry status --watch --interval 0.5',
    '  vmferry status --check || echo "look at this machine"',
    '  vmferry status --json | jq -r .status.status',
  ],
);

/** Below the options of events. */
export const EVENTS_HELP = join(
  [
    'Output:',
    '  A line for each event: time of day, number, name and data. With --json one object on each line:',
    '  {"type":"event","id":N,"event":NAME,"data":…,"timestamp":…}; {"type":"gap","from":…,"to":…} for events that',
    '  the service no longer keeps; {"type":"bye"} when it closes.',
    '',
    '  A broken connection is opened again after the last printed event, for the time of --reconnect.',
  ],
  ENVIRONMENT,
  exitStatus({ done: 'the reader of the output has closed it', unreachable: LOST }),
  [
    'Examples:',
    '  vmferry events --since 0',
    '  vmferry events --json | jq -c \'select(.event == "MIGRATION") | .data\'',
  ],
);
