import { ENVIRONMENT, EXIT_STATUS, join } from './sections.ts';

/* What --help of `vmferry history`, `show` and `audit` says beside the options. */

export const HISTORY_HELP = join(
  ['Output:', '  A table, a line a migration; with --quiet the ids alone, with --json {"migrations":[…]}.'],
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
  ['Output:', '  NAME: VALUE, a line each, and a table of its passes; with --json the answer of GET /migrations/ID.'],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry show 1', '  vmferry show 1 --json | jq .passes'],
);

export const AUDIT_HELP = join(
  [
    'Output:',
    '  A table, a line a command that changed something, or was refused; with --json {"audit":[…]}, which has all',
    '  of the arguments that are kept.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry audit', '  vmferry audit --all --json | jq -c \'.audit[] | select(.outcome == "refused")\''],
);
