import { EXIT, Failure } from '../client-failure.ts';
import {
  runAddBlockerCommand,
  runBlockersCommand,
  runCancelCommand,
  runContinueCommand,
  runEndIncomingCommand,
  runIncomingCommand,
  runMigrateCommand,
  runRemoveBlockerCommand,
} from '../commands/migrate.ts';
import { parseWord } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  addWaitingOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  EXIT_STATUS,
  exitStatus,
  type Grammar,
  join,
  type WaitingOptions,
  waitingOf,
} from './common-options.ts';

/* Options and help of `vmferry migrate`, `cancel`, `incoming`, `continue` and `blockers`. */

type Options = CommonOptions & WaitingOptions & { readonly resume?: true };

export function addMigrate({ program, io, choose }: Grammar): void {
  const command = program
    .command('migrate')
    .description('Migrate the machine of a running service to another service, or save it to a file.')
    .argument('<URI>', 'the target: tcp:HOST:PORT, unix:PATH, file:PATH, exec:COMMAND or fd:NAME', parseWord)
    .option('--wait', 'follow the migration to its end and show its progress; Ctrl-C cancels it')
    .option('--resume', 'resume a postcopy migration that was interrupted')
    .option('-q, --quiet', 'no progress; without --wait only the id of the migration');
  addJsonOption(addWaitingOptions(addServiceOptions(command), 'migration')).addHelpText('after', MIGRATE_HELP);
  command.action((uri: string) => {
    const options = command.optsWithGlobals<Options>();
    const waiting = waitingOf(options, options.wait ?? false, '--timeout needs --wait');
    const common = commonOf(options, io);
    const rest = { uri, resumes: options.resume ?? false, quiet: options.quiet ?? false };
    choose(() => runMigrateCommand({ ...common, ...waiting, ...rest }, io));
  });
}

export function addCancel({ program, io, choose }: Grammar): void {
  const command = program
    .command('cancel')
    .description('Cancel the running migration and print the outcome.')
    .addHelpText('after', CANCEL_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runCancelCommand(common, io));
  });
}

export function addIncoming({ program, io, choose }: Grammar): void {
  const command = program
    .command('incoming')
    .description('Make a service that was started with --incoming defer listen for a migration.')
    .argument('[URI]', 'where to listen: tcp:HOST:PORT (port 0: a free one), unix:PATH, file:PATH, …', parseWord)
    .option('--end', 'stop listening, if no source has connected')
    .option('-q, --quiet', 'print only the id of the migration')
    .addHelpText('after', INCOMING_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((uri: string | undefined) => {
    const { quiet, end, ...options } = command.optsWithGlobals<CommonOptions & { readonly end?: true }>();
    const common = commonOf(options, io);
    if (end && uri === undefined) {
      choose(() => runEndIncomingCommand(common, io));
      return;
    }
    if (end || uri === undefined) throw new Failure(EXIT.usage, 'incoming needs either URI or --end; see --help');
    choose(() => runIncomingCommand({ ...common, uri, quiet: quiet ?? false }, io));
  });
}

export function addContinue({ program, io, choose }: Grammar): void {
  const command = program
    .command('continue')
    .description('Continue a migration that is paused before its switchover.')
    .option('--state <STATE>', 'the state in which the migration waits', parseWord, 'pre-switchover')
    .addHelpText('after', CONTINUE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { state, ...options } = command.optsWithGlobals<CommonOptions & { readonly state: string }>();
    const common = commonOf(options, io);
    choose(() => runContinueCommand({ ...common, state }, io));
  });
}

export function addBlockers({ program, io, choose }: Grammar): void {
  const blockers = program
    .command('blockers')
    .usage('[list|add|remove] [OPTIONS] [REASON|ID]')
    .description('Print, add and remove migration blockers: reasons that forbid an outgoing migration.')
    .addHelpText('after', BLOCKERS_HELP);
  addJsonOption(addServiceOptions(blockers));
  const list = blockers
    .command('list', { isDefault: true })
    .description('Print the blockers with their ids. The default of blockers.')
    .addHelpText('after', blockerHelp('list'));
  list.action(() => {
    const common = commonOf(list.optsWithGlobals<CommonOptions>(), io);
    choose(() => runBlockersCommand(common, io));
  });
  const add = blockers
    .command('add')
    .description('Forbid outgoing migrations until the blocker is removed, and print its id.')
    .argument('<REASON>', 'reason, shown to a user who starts a migration', parseWord)
    .addHelpText('after', blockerHelp("add 'A backup is being made.'"));
  add.action((reason: string) => {
    const common = commonOf(add.optsWithGlobals<CommonOptions>(), io);
    choose(() => runAddBlockerCommand({ ...common, reason }, io));
  });
  const remove = blockers
    .command('remove')
    .description('Remove a blocker.')
    .argument('<ID>', 'id of the blocker, as vmferry blockers prints it', parseWord)
    .addHelpText('after', blockerHelp('remove 1'));
  remove.action((id: string) => {
    const common = commonOf(remove.optsWithGlobals<CommonOptions>(), io);
    choose(() => runRemoveBlockerCommand({ ...common, id }, io));
  });
}

const WAITING = [
  'Waiting:',
  '  Without --wait the command ends when the migration has started; "vmferry status --watch" shows its progress.',
  '  With --wait it follows the migration to its end. Ctrl-C or SIGTERM cancels the migration: either the cancel',
  '  takes effect and the guest stays here, or it is too late and the last line says which side has the guest.',
  '  A second Ctrl-C ends the command at once. A lost service is asked again for the time of --reconnect.',
];

const OUTPUT = [
  'Output:',
  '  Progress goes to standard error: a bar on a terminal, elsewhere at most one line per second. It shows the',
  '  part of RAM that the first pass has covered, the pass, the rate, the remaining bytes, the expected downtime',
  '  and the time to go. With --json everything goes to standard output, one JSON object on each line:',
  '  {"type":"progress"|"event"|"note",…}. The last line is {"type":"result"} or {"type":"error"} and has',
  '  "exit-status"; a result has "outcome": completed, failed, cancelled, running or accepted.',
];

const RETRIES = [
  'Idempotency:',
  '  The same request with the same --idempotency-key starts no second migration: the command follows the first',
  '  one, running or ended.',
];

const MIGRATE_EXIT_STATUS = exitStatus({
  done: 'the migration has started; with --wait: it completed',
  failed: 'it failed or was cancelled',
  unreachable: 'no answer, a service that stays lost, or an unexpected answer; or output that could not be written',
  timedOut: '--timeout passed before it completed; without --cancel-on-timeout it continues',
  interrupted: 'ended by Ctrl-C (SIGINT); with --wait: a cancel of the migration was attempted',
  terminated: 'ended by SIGTERM, as above',
});

/** Below the options of migrate. */
export const MIGRATE_HELP = join(WAITING, OUTPUT, RETRIES, ENVIRONMENT, MIGRATE_EXIT_STATUS, [
  'Examples:',
  '  vmferry migrate tcp:10.0.0.7:4444 --wait',
  '      Migrate the machine to the service that listens there, and show the progress.',
  '  vmferry migrate file:vm0.stream --wait --timeout 60 --cancel-on-timeout',
  '      Save the machine to a file below the file root of the service, within a minute or not at all.',
  '  id=$(vmferry migrate tcp:10.0.0.7:4444 --quiet)',
  '      Start the migration and keep its id in the history (GET /migrations/ID).',
  '  vmferry migrate tcp:10.0.0.7:4444 --resume --wait',
  '      Resume a postcopy migration whose connection broke.',
]);

/** Below the options of cancel. */
export const CANCEL_HELP = join(
  [
    'Outcome:',
    '  A migration is either cancelled or completed. With --json the answer is {"outcome":…}: cancelled (status 0),',
    '  already-completed, already-failed, not-cancellable or nothing-to-cancel (status 1).',
  ],
  ENVIRONMENT,
  exitStatus({
    done: 'the migration was cancelled',
    failed: 'the cancel was too late, or there was no migration',
  }),
  [
    'Examples:',
    '  vmferry cancel',
    '  [ "$(vmferry cancel --json)" = \'{"outcome":"already-completed"}\' ] && echo "it has moved"',
  ],
);

export const INCOMING_HELP = join(
  [
    'Output:',
    '  The addresses and the id of the migration; with --json {"migration":…,"socket-address":[…]}. --end prints',
    '  nothing, with --json {"listening":false}.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry incoming tcp:0.0.0.0:4444',
    '  vmferry incoming --end',
    '  vmferry incoming tcp:127.0.0.1:0 --json | jq -r \'."socket-address"[0].port\'',
  ],
);

export const CONTINUE_HELP = join(
  [
    'Output:',
    '  The state of the migration afterwards; with --json the answer of GET /migrate. A migration pauses before its',
    '  switchover if the capability pause-before-switchover is on.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry continue'],
);

/** Below the list of verbs. */
export const BLOCKERS_HELP = join(ENVIRONMENT, EXIT_STATUS, [
  'Examples:',
  '  vmferry blockers',
  "  id=$(vmferry blockers add 'A backup is being made.')",
  '  vmferry blockers remove "$id"',
]);

/** Below the options of list, add or remove. `example` has the words after `vmferry blockers`. */
export function blockerHelp(example: string): string {
  return join(ENVIRONMENT, EXIT_STATUS, ['Examples:', `  vmferry blockers ${example}`]);
}
