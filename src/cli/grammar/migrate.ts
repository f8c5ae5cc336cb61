import { runCancelCommand } from '../commands/cancel.ts';
import { runMigrateCommand } from '../commands/migrate.ts';
import { CANCEL_HELP, MIGRATE_HELP } from '../help/migrate.ts';
import { parseWord } from '../settings.ts';
import {
  addJsonOption,
  addServiceOptions,
  addWaitingOptions,
  type CommonOptions,
  commonOf,
  type Grammar,
  type WaitingOptions,
  waitingOf,
} from './common.ts';

/* The command lines of `vmferry migrate` and `vmferry cancel`. */

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
