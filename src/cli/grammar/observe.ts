import { Option } from 'commander';
import { runEventsCommand } from '../commands/events.ts';
import { runStatusCommand } from '../commands/observe.ts';
import { EVENTS_HELP, STATUS_HELP } from '../help/observe.ts';
import { parseEventNumber, parseInterval, WATCH_SECONDS_DEFAULT } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  type Grammar,
  reconnectOption,
} from './common-options.ts';

/* The command lines of `vmferry status` and `vmferry events`. */

type StatusOptions = CommonOptions & {
  readonly watch?: true;
  readonly check?: true;
  readonly interval: number;
  readonly reconnect: number;
};

export function addStatus({ program, world, choose }: Grammar): void {
  const command = program
    .command('status')
    .description('Print how the machine of a running service is, and its migration.')
    .option('--watch', 'go on looking, until Ctrl-C')
    .addOption(
      new Option('--check', 'end with 1 if the guest has panicked, may be elsewhere, or is not served').conflicts(
        'watch',
      ),
    )
    .addOption(
      new Option('--interval <SECONDS>', 'between two looks of --watch')
        .default(WATCH_SECONDS_DEFAULT)
        .argParser(parseInterval),
    )
    .addOption(reconnectOption())
    .addHelpText('after', STATUS_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { watch, check, interval, reconnect, ...options } = command.optsWithGlobals<StatusOptions>();
    const times = { everyMs: interval * 1000, reconnectMs: reconnect * 1000 };
    const common = commonOf(options, world);
    choose(() => runStatusCommand({ ...common, ...times, watches: watch ?? false, checks: check ?? false }, world));
  });
}

type EventsOptions = CommonOptions & { readonly since?: string; readonly reconnect: number };

export function addEvents({ program, world, choose }: Grammar): void {
  const command = program
    .command('events')
    .description('Print the events of a running service as they happen, until Ctrl-C.')
    .option('--since <N>', 'begin with what came after event N; 0: with the oldest that is kept', parseEventNumber)
    .addOption(reconnectOption())
    .addHelpText('after', EVENTS_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { since, reconnect, ...options } = command.optsWithGlobals<EventsOptions>();
    const common = commonOf(options, world);
    choose(() => runEventsCommand({ ...common, since: since ?? null, reconnectMs: reconnect * 1000 }, world));
  });
}
