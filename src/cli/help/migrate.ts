import { ENVIRONMENT, EXIT_STATUS, exitStatus, join } from './sections.ts';

/* What --help of `vmferry migrate` and of what belongs to a migration says beside the options. */

const WAITING = [
  'Waiting:',
  '  Without --wait the command ends once the service has begun; "vmferry status --watch" shows how it goes on.',
  '  With --wait it follows the migration to its end. Ctrl-C or SIGTERM cancels it: exactly, so that either the',
  '  cancel wins and the guest stays here, or it came too late, and the last line says so and who has the guest.',
  '  A second Ctrl-C ends the command at once. If the service goes away meanwhile it is asked again for the time',
  '  of --reconnect.',
];

const OUTPUT = [
  'Output:',
  '  Progress goes to standard error: a bar on a terminal, elsewhere a line at most each second. It has the part',
  '  of RAM that the first pass has walked, the pass, the rate, what is left, the downtime that is expected, and',
  '  the time to go. With --json everything goes to standard output as one JSON object a line:',
  '  {"type":"progress"|"event"|"note",…}; the last one is {"type":"result"} or {"type":"error"} and has',
  '  "exit-status", and a result has "outcome": completed, failed, cancelled, running or accepted.',
];

const RETRIES = [
  'Idempotency:',
  '  With the same --idempotency-key the same request starts no second migration: the command finds the first one',
  '  again, running or ended, and follows it.',
];

const MIGRATE_EXIT_STATUS = exitStatus({
  done: 'the migration has begun; with --wait: it completed',
  failed: 'it failed or was cancelled',
  unreachable: 'no service there, lost for too long, or an unexpected answer; or output that could not be written',
  timedOut: '--timeout passed and it did not complete; without --cancel-on-timeout it goes on',
  interrupted: 'ended by Ctrl-C (SIGINT); a migration that was waited for was cancelled if it still could be',
  terminated: 'ended by SIGTERM, as above',
});

/** Below the options of migrate. */
export const MIGRATE_HELP = join(WAITING, OUTPUT, RETRIES, ENVIRONMENT, MIGRATE_EXIT_STATUS, [
  'Examples:',
  '  vmferry migrate tcp:10.0.0.7:4444 --wait',
  '      Move the machine to the service that listens there, and see it go.',
  '  vmferry migrate file:vm0.stream --wait --timeout 60 --cancel-on-timeout',
  '      Save it into a file below the file root of the service, in a minute or not at all.',
  '  id=$(vmferry migrate tcp:10.0.0.7:4444 --quiet)',
  '      Begin, and know how the migration is called in the history (GET /migrations/ID).',
  '  vmferry migrate tcp:10.0.0.7:4444 --resume --wait',
  '      Go on with a postcopy migration whose connection broke.',
]);

/** Below the options of cancel. */
export const CANCEL_HELP = join(
  [
    'Outcome:',
    '  A cancel and a completion never both win. With --json the answer is {"outcome":…}: cancelled (status 0),',
    '  already-completed, already-failed, not-cancellable or nothing-to-cancel (status 1).',
  ],
  ENVIRONMENT,
  exitStatus({
    done: 'the migration was cancelled',
    failed: 'the cancel came too late, or there was nothing to cancel',
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
    '  Where it listens and the id of the migration; with --json {"migration":…,"socket-address":[…]}. --end prints',
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

/** Below the options of list, add or remove; `words` are an example. */
export function blockerHelp(words: string): string {
  return join(ENVIRONMENT, EXIT_STATUS, ['Examples:', `  vmferry blockers ${words}`]);
}
