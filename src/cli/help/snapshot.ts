import { ENVIRONMENT, SNAPSHOT_EXIT_STATUS as EXIT_STATUS, exitStatus, join } from './sections.ts';

/* What --help of `vmferry snapshot` says beside the options: written for whoever has nothing else at hand. */

const OUTPUT = [
  'Output:',
  '  Results go to standard output, progress and errors to standard error: a bar on a terminal, elsewhere',
  '  a line at most each second and only if something changed. With --json both go to standard output as',
  '  one JSON object a line: {"type":"progress"|"note","job":…}; the last one is {"type":"result"} or',
  '  {"type":"error"} and has "exit-status".',
];

const WAITING = [
  'Waiting:',
  '  The command follows its job to the end. Ctrl-C or SIGTERM asks the service to cancel the job and waits',
  '  until it has; a second Ctrl-C ends the command at once. If the service goes away meanwhile it is asked',
  '  again for the time of --reconnect; a job that the service stopped under has failed (status 1).',
];

const RETRIES = [
  'Idempotency:',
  '  With the same --idempotency-key the same request starts no second job: the command finds the first one',
  '  again, running or ended, and follows it. Give it the name of the CI run and step, and a step that is',
  '  retried does not fail because its first attempt did the work.',
];

/** Below the list of verbs. */
export const SNAPSHOT_HELP = join(
  [
    'A snapshot holds the machine as it is in one moment: RAM, devices and disks. It lies in the qcow2 images',
    'of the block device nodes, where QEMU finds it too. Each command asks a running service, and all but list',
    'start a job there and wait for its end. "vmferry snapshot save --help" and the like say more.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry snapshot save warm         keep the machine as it is now',
    '  vmferry snapshot load warm         take it back there, as often as you like',
    '  vmferry snapshot list              what there is',
  ],
);

const EXAMPLES = {
  save: [
    'Examples:',
    '  vmferry snapshot save warm',
    '      Keep the machine as "warm". A snapshot of that name is not replaced without --replace: status 4.',
    '  vmferry snapshot save warm --if-missing --ttl 604800 --description "caches are warm"',
    '      Only where there is none, for a week.',
    '  tag=$(vmferry snapshot save --quiet)',
    '      Let the command choose the tag, and know it.',
    '  vmferry snapshot save warm --timeout 120 --cancel-on-timeout --idempotency-key "$CI_PIPELINE_ID-warm"',
    '      A step of a CI run that may be retried.',
    '  vmferry snapshot save warm --vmstate disk0 --device disk0 --device disk1',
    '      RAM and devices into disk0, and both disks.',
  ],
  load: [
    'Examples:',
    '  vmferry snapshot load warm',
    '      RAM, devices and disks as they were. If it fails, the machine goes on as if nothing had been asked.',
  ],
  delete: [
    'Examples:',
    '  vmferry snapshot delete warm',
    '      Status 4 (snapshot_not_found) if there is none.',
    '  vmferry snapshot delete warm || [ $? -eq 4 ]',
    '      For clean-up steps.',
    '  vmferry snapshot delete -- "$tag"',
    '      A tag that may begin with "-".',
  ],
  verify: [
    'Examples:',
    '  vmferry snapshot verify warm && vmferry snapshot load warm',
    '      Damage is status 1; each place is named on standard error.',
  ],
  compact: [
    'Examples:',
    '  vmferry snapshot delete old && vmferry snapshot compact',
    '      Prints the length and the disk usage of each image file, before and after.',
    '  vmferry snapshot compact --node disk0 --timeout 600 --cancel-on-timeout',
    '      One image, for ten minutes at most; the moves made until then stay.',
  ],
} as const;

/** Below the options of a verb that starts a job. */
export function jobHelp(verb: keyof typeof EXAMPLES): string {
  return join(OUTPUT, WAITING, RETRIES, ENVIRONMENT, EXIT_STATUS, EXAMPLES[verb]);
}

/** Below the options of list. */
export const LIST_HELP = join(
  ENVIRONMENT,
  exitStatus({ refused: 'the service refused: no such snapshot, no permission' }),
  [
    'Examples:',
    '  vmferry snapshot list',
    '  status=0; vmferry snapshot list warm >/dev/null || status=$?',
    '  case $status in 0) vmferry snapshot load warm ;; 4) make-it-warm ;; *) exit $status ;; esac',
    '      Status 4 if there is no such snapshot; any other says that nobody knows.',
    '  vmferry snapshot list --quiet | while IFS= read -r tag; do',
    '    vmferry snapshot verify -- "$tag" || exit',
    '  done',
    "  vmferry snapshot list --json | jq -r '.snapshots[].tag'",
  ],
);
