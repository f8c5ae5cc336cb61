import { ENVIRONMENT, exitStatus, join } from './sections.ts';

/* What --help of `vmferry monitor` and `vmferry qmp` says beside the options. */

const EXIT_STATUS = exitStatus({ refused: 'the service refused, or an answer is an error' });

/** Below the options of monitor. */
export const MONITOR_HELP = join(
  [
    'At a terminal:',
    '  Lines are those of QEMU\'s monitor; "help" names them. Tab completes commands, parameters, capabilities and',
    '  tags. Events of the service appear above the prompt. Ctrl-C gives up a line, or the wait for its answer;',
    '  quit or Ctrl-D ends the monitor, never the machine. What was typed is kept in a file that only you can read:',
    '  $XDG_STATE_HOME/vmferry/monitor-history, or ~/.local/state/vmferry/monitor-history.',
  ],
  [
    'Elsewhere:',
    '  Each line of standard input is sent once the one before was answered, and the answers are printed, nothing',
    '  else. With --json, also at a terminal, each is {"type":"output","line":…,"text":…}. A line that is not',
    '  understood, or whose answer ends with a line "Error: …", makes the status 4; the lines behind it are sent',
    '  all the same.',
  ],
  [...ENVIRONMENT, '  NO_COLOR          if set, no colours'],
  EXIT_STATUS,
  ['Examples:', '  vmferry monitor', '  echo "info migrate" | vmferry monitor'],
);

/** Below the options of qmp. */
export const QMP_HELP = join(
  [
    'Output:',
    '  {"return":…}, or {"error":{"class":…,"desc":…}} with status 4; on several lines, or with --json on one. All',
    '  integers are exact. An "id" comes back as it was given.',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry qmp query-status',
    '  vmferry qmp \'{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":18446744073709551615}}\'',
    '  vmferry qmp - <command.json',
  ],
);
