import { ENVIRONMENT, EXIT_STATUS, join } from './sections.ts';

/* What --help of `vmferry jobs` says beside the options. */

/** Below the list of verbs. */
export const JOBS_HELP = join(
  [
    'Snapshots are saved, loaded, verified and deleted by jobs. "vmferry snapshot" starts them and waits for them;',
    'here is what there is, and what can be done about it. "vmferry jobs list --help" and the like say more.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry jobs                       what waits, runs, or ended lately',
    '  vmferry jobs --history             what ever ended',
    '  vmferry jobs cancel snap-1         take its work back',
  ],
);

/** Below the options of list. */
export const JOBS_LIST_HELP = join(ENVIRONMENT, EXIT_STATUS, [
  'Examples:',
  '  vmferry jobs',
  '  vmferry jobs --history',
  '  vmferry jobs --json | jq -r \'.jobs[] | select(.status == "running") | .id\'',
]);

/** Below the options of show and of the verbs. */
export function jobVerbHelp(verb: string): string {
  const answer =
    verb === 'show'
      ? ['Output:', '  A line a member; with --json the job as the service gives it.']
      : [
          'Output:',
          '  How the job is then; with --json all of it. A verb that does not suit its state is refused: status 4.',
        ];
  return join(answer, ENVIRONMENT, EXIT_STATUS, ['Examples:', `  vmferry jobs ${verb} snap-1`]);
}
