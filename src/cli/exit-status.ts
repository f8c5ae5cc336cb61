/* What the exit status of a command says. Scripts rely on these numbers: they never change their meaning. */

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  timedOut: 5,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];

/** The table of `vmferry snapshot` as --help and docs/ci.md have it. */
export const EXIT_STATUSES: readonly (readonly [status: ExitStatus, meaning: string])[] = [
  [EXIT.done, 'the job completed; with --no-wait: the service accepted it'],
  [EXIT.failed, 'the job failed or was cancelled, or the service stopped under it'],
  [EXIT.usage, 'the command line or the environment is wrong; nothing was asked'],
  [
    EXIT.unreachable,
    'no service there, lost for too long, or an unexpected answer; or output that could not be written',
  ],
  [EXIT.refused, 'the service refused: no such snapshot, a conflict, a wrong value, no permission'],
  [EXIT.timedOut, '--timeout passed and the job did not complete; without --cancel-on-timeout it still runs'],
  [EXIT.interrupted, 'interrupted by Ctrl-C (SIGINT); the job was asked to cancel'],
  [EXIT.terminated, 'ended by SIGTERM; the job was asked to cancel'],
];

/** The table of all other commands as --help and docs/cli.md have it. */
export const GENERAL_EXIT_STATUSES: typeof EXIT_STATUSES = [
  [EXIT.done, 'done; migrate: accepted, with --wait completed; cancel: the migration was cancelled'],
  [
    EXIT.failed,
    'migrate: failed, cancelled, or the guest has panicked; cancel: too late or none; status --check: unwell',
  ],
  [EXIT.usage, 'the command line or the environment is wrong; nothing was changed'],
  [
    EXIT.unreachable,
    'no service there, lost for too long, or an unexpected answer; or output that could not be written',
  ],
  [
    EXIT.refused,
    'the service refused: wrong name or value, conflict, no permission; qmp, monitor: an answer is an error',
  ],
  [EXIT.timedOut, '--timeout passed and the migration did not complete; without --cancel-on-timeout it goes on'],
  [EXIT.interrupted, 'ended by Ctrl-C (SIGINT); a migration that was waited for was cancelled if it still could be'],
  [EXIT.terminated, 'ended by SIGTERM, as above'],
];
