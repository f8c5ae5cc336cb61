import { ENVIRONMENT, EXIT_STATUS, join } from './sections.ts';

/* What --help of `vmferry migrate` and `vmferry cancel` says beside the options. */

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

/** Below the options of migrate. */
export const MIGRATE_HELP = join(WAITING, OUTPUT, RETRIES, ENVIRONMENT, EXIT_STATUS, [
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
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry cancel',
    '  [ "$(vmferry cancel --json)" = \'{"outcome":"already-completed"}\' ] && echo "it has moved"',
  ],
);
