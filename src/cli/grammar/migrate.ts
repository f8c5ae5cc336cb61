import { Failure } from '../client-failure.ts';
import { runCancelCommand } from '../commands/cancel.ts';
import {
  runAddBlockerCommand,
  runBlockersCommand,
  runContinueCommand,
  runEndIncomingCommand,
  runIncomingCommand,
  runRemoveBlockerCommand,
} from '../commands/incoming.ts';
import { runMigrateCommand } from '../commands/migrate.ts';
import { EXIT } from '../exit-status.ts';
import {
  BLOCKERS_HELP,
  blockerHelp,
  CANCEL_HELP,
  CONTINUE_HELP,
  INCOMING_HELP,
  MIGRATE_HELP,
} from '../help/migrate.ts';
import { parseWord } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  addWaitingOptions,
  type CommonOptions,
  commonOf,
  type Grammar,
  type WaitingOptions,
  waitingOf,
} from './common-options.ts';

/* The command lines of `vmferry migrate` and of what belongs to a migration. */

type Options = CommonOptions & WaitingOptions & { readonly resume?: true };

export function addMigrate({ program, world, choose }: Grammar): void {
  const command = program
    .command('migrate')
    .description('Move the machine of a running service to another place, or save it into a file.')
    .argument('<URI>', 'where to: tcp:HOST:PORT, unix:PATH, file:PATH, exec:COMMAND or fd:NAME', parseWord)
    .option('--wait', 'follow the migration to its end, with its progress; Ctrl-C cancels it')
    .option('--resume', 'go on with a postcopy migration that was interrupted')
    .option('-q, --quiet', 'no progress; without --wait the id of the migration alone');
  addJsonOption(addWaitingOptions(addServiceOptions(command), 'migration')).addHelpText('after', MIGRATE_HELP);
  command.action((uri: string) => {
    const options = command.optsWithGlobals<Options>();
    const waiting = waitingOf(options, options.wait ?? false, '--timeout needs --wait');
    const common = commonOf(options, world);
    const rest = { uri, resumes: options.resume ?? false, quiet: options.quiet ?? false };
    choose(() => runMigrateCommand({ ...common, ...waiting, ...rest }, world));
  });
}

export function addCancel({ program, world, choose }: Grammar): void {
  const command = program
    .command('cancel')
    .description('Cancel the migration that runs, and say what came of it.')
    .addHelpText('after', CANCEL_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runCancelCommand(common, world));
  });
}

export function addIncoming({ program, world, choose }: Grammar): void {
  const command = program
    .command('incoming')
    .description('Let a service that was started with --incoming defer listen for a migration.')
    .argument('[URI]', 'where to listen: tcp:HOST:PORT (port 0: a free one), unix:PATH, file:PATH, …', parseWord)
    .option('--end', 'listen no more, as long as no sender has come')
    .option('-q, --quiet', 'the id of the migration alone')
    .addHelpText('after', INCOMING_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((uri: string | undefined) => {
    const { quiet, end, ...options } = command.optsWithGlobals<CommonOptions & { readonly end?: true }>();
    const common = commonOf(options, world);
    if (end && uri === undefined) {
      choose(() => runEndIncomingCommand(common, world));
      return;
    }
    if (end || uri === undefined) throw new Failure(EXIT.usage, 'incoming needs either URI or --end; see --help');
    choose(() => runIncomingCommand({ ...common, uri, quiet: quiet ?? false }, world));
  });
}

export function addContinue({ program, world, choose }: Grammar): void {
  const command = program
    .command('continue')
    .description('Let a migration go on to its switchover that pauses before it.')
    .option('--state <STATE>', 'the state that it waits in', parseWord, 'pre-switchover')
    .addHelpText('after', CONTINUE_HELP);
  addJsonOption(addServiceOptions(command));
  command.action(() => {
    const { state, ...options } = command.optsWithGlobals<CommonOptions & { readonly state: string }>();
    const common = commonOf(options, world);
    choose(() => runContinueCommand({ ...common, state }, world));
  });
}

export function addBlockers({ program, world, choose }: Grammar): void {
  const blockers = program
    .command('blockers')
    .usage('[list|add|remove] [OPTIONS] [REASON|ID]')
    .description('Print what forbids an outgoing migration, and change it.')
    .addHelpText('after', BLOCKERS_HELP);
  addJsonOption(addServiceOptions(blockers));
  const list = blockers
    .command('list', { isDefault: true })
    .description('Print the reasons and their ids. This is what blockers alone does.')
    .addHelpText('after', blockerHelp('list'));
  list.action(() => {
    const common = commonOf(list.optsWithGlobals<CommonOptions>(), world);
    choose(() => runBlockersCommand(common, world));
  });
  const add = blockers
    .command('add')
    .description('Forbid outgoing migrations until the blocker is removed, and print its id.')
    .argument('<REASON>', 'a sentence for whoever tries to migrate', parseWord)
    .addHelpText('after', blockerHelp("add 'A backup is being made.'"));
  add.action((reason: string) => {
    const common = commonOf(add.optsWithGlobals<CommonOptions>(), world);
    choose(() => runAddBlockerCommand({ ...common, reason }, world));
  });
  const remove = blockers
    .command('remove')
    .description('Take a blocker away.')
    .argument('<ID>', 'id of the blocker, as vmferry blockers prints it', parseWord)
    .addHelpText('after', blockerHelp('remove 1'));
  remove.action((id: string) => {
    const common = commonOf(remove.optsWithGlobals<CommonOptions>(), world);
    choose(() => runRemoveBlockerCommand({ ...common, id }, world));
  });
}
