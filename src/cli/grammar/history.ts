import { type Command, Option } from 'commander';
import { runAuditCommand, runHistoryCommand, runShowCommand } from '../commands/history.ts';
import { AUDIT_HELP, HISTORY_HELP, SHOW_HELP } from '../help/history.ts';
import { parseLimit, parseMoment, parseWord } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command lines of `vmferry history`, `show` and `audit`. */

type Options = CommonOptions & {
  readonly limit: number;
  readonly all?: true;
  readonly since?: string;
  readonly until?: string;
};

const LIMIT_DEFAULT = 20;

export function addHistory({ program, world, choose }: Grammar): void {
  const history = program
    .command('history')
    .description('Print the migrations that were made here, the newest first.')
    .option('-q, --quiet', 'ids alone')
    .addHelpText('after', HISTORY_HELP);
  addListOptions(history, 'migrations');
  history.action(() => {
    const { quiet, ...options } = history.optsWithGlobals<Options>();
    const common = commonOf(options, world);
    choose(() => runHistoryCommand({ ...common, ...listingOf(options), quiet: quiet ?? false }, world));
  });

  const show = program
    .command('show')
    .description('Print what is kept of a migration: how it ended, its settings and its passes.')
    .argument('<ID>', 'id of the migration, as vmferry history prints it', parseWord)
    .addHelpText('after', SHOW_HELP);
  addJsonOption(addServiceOptions(show));
  show.action((id: string) => {
    const common = commonOf(show.optsWithGlobals<CommonOptions>(), world);
    choose(() => runShowCommand({ ...common, id }, world));
  });

  const audit = program
    .command('audit')
    .description('Print who changed what, the newest first.')
    .addHelpText('after', AUDIT_HELP);
  addListOptions(audit, 'rows');
  audit.action(() => {
    const options = audit.optsWithGlobals<Options>();
    const common = commonOf(options, world);
    choose(() => runAuditCommand({ ...common, ...listingOf(options) }, world));
  });
}

function addListOptions(command: Command, what: string): void {
  addJsonOption(addServiceOptions(command))
    .addOption(
      new Option('--limit <N>', `the newest N ${what}, 1 to 1000`).default(LIMIT_DEFAULT).argParser(parseLimit),
    )
    .option('--all', `all ${what} that are kept`)
    .addOption(new Option('--since <TIME>', `only ${what} later than this; ${MOMENTS}`).argParser(parseMoment))
    .addOption(new Option('--until <TIME>', `only ${what} earlier than this`).argParser(parseMoment));
}

const MOMENTS = '2025-06-01 or 2025-06-01T12:00, by the clock of this host unless a zone is given';

function listingOf({ limit, all, since, until }: Pick<Options, 'limit' | 'all' | 'since' | 'until'>) {
  return { limit: all ? null : limit, since: since ?? null, until: until ?? null };
}
