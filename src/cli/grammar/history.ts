import { type Command, Option } from 'commander';
import { runAuditCommand, runHistoryCommand, runShowCommand } from '../commands/history.ts';
import { parseLimit, parseMoment, parseWord } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  EXIT_STATUS,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry history`, `show` and `audit`. */

type Options = CommonOptions & {
  readonly limit: number;
  readonly all?: true;
  readonly since?: string;
  readonly until?: string;
};

const LIMIT_DEFAULT = 20;

export function addHistory({ program, io, choose }: Grammar): void {
  const history = program
    .command('history')
    .description('Print the migrations of this service, newest first.')
    .option('-q, --quiet', 'print only ids')
    .addHelpText('after', HISTORY_HELP);
  addListOptions(history, 'migrations');
  history.action(() => {
    const { quiet, ...options } = history.optsWithGlobals<Options>();
    const common = commonOf(options, io);
    choose(() => runHistoryCommand({ ...common, ...listingOf(options), quiet: quiet ?? false }, io));
  });

  const show = program
    .command('show')
    .description('Print the record of a migration: outcome, settings and passes.')
    .argument('<ID>', 'id of the migration, as vmferry history prints it', parseWord)
    .addHelpText('after', SHOW_HELP);
  addJsonOption(addServiceOptions(show));
  show.action((id: string) => {
    const common = commonOf(show.optsWithGlobals<CommonOptions>(), io);
    choose(() => runShowCommand({ ...common, id }, io));
  });

  const audit = program
    .command('audit')
    .description('Print the audit log: which client changed what, newest first.')
    .addHelpText('after', AUDIT_HELP);
  addListOptions(audit, 'rows');
  audit.action(() => {
    const options = audit.optsWithGlobals<Options>();
    const common = commonOf(options, io);
    choose(() => runAuditCommand({ ...common, ...listingOf(options) }, io));
  });
}

function addListOptions(command: Command, entries: string): void {
  addJsonOption(addServiceOptions(command))
    .addOption(
      new Option('--limit <N>', `the newest N ${entries}, 1 to 1000`).default(LIMIT_DEFAULT).argParser(parseLimit),
    )
    .option('--all', `all recorded ${entries}`)
    .addOption(new Option('--since <TIME>', `only ${entries} later than this; ${MOMENTS}`).argParser(parseMoment))
    .addOption(new Option('--until <TIME>', `only ${entries} earlier than this`).argParser(parseMoment));
}

const MOMENTS = '2025-06-01 or 2025-06-01T12:00, local time unless a zone is given';

function listingOf({ limit, all, since, until }: Pick<Options, 'limit' | 'all' | 'since' | 'until'>) {
  return { limit: all ? null : limit, since: since ?? null, until: until ?? null };
}

export const HISTORY_HELP = join(
  ['Output:', '  A table with a line for each migration; with --quiet only the ids; with --json {"migrations":[…]}.'],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry history',
    '  vmferry history --since 2025-06-01 --all',
    '  vmferry show "$(vmferry history --limit 1 --quiet)"',
    '  vmferry history --all --json | jq -r \'.migrations[] | select(.status == "failed") | .id\'',
  ],
);

export const SHOW_HELP = join(
  ['Output:', '  Lines of NAME: VALUE and a table of the passes; with --json the answer of GET /migrations/ID.'],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry show 1', '  vmferry show 1 --json | jq .passes'],
);

export const AUDIT_HELP = join(
  [
    'Output:',
    '  A table with a line for each command that changed something or was refused; with --json {"audit":[…]}, with',
    '  the whole recorded arguments.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry audit', '  vmferry audit --all --json | jq -c \'.audit[] | select(.outcome == "refused")\''],
);
