import { ENVIRONMENT, exitStatus, join } from './sections.ts';

/* What --help of `vmferry status` and `vmferry events` says beside the options. */

/** Both may go on for as long as the service does. */
const LOST = 'no service there, lost for too long, or an unexpected answer; or output that could not be written';

/** Below the options of status. */
export const STATUS_HELP = join(
  [
    'Output:',
    '  The machine, its run state, its guest, and the migration that runs or ended last. --watch writes it over on',
    '  a terminal, and elsewhere prints a line whenever it says something new. With --json one object a line:',
    '  {"status":…,"machine":…,"migrate":…,"progress":…}, the answers of GET /status, /machine, /migrate and',
    '  /migrate/progress.',
    '  --check adds a line on standard error for each thing that is wrong (--json: "problems") and ends with 1.',
  ],
  ENVIRONMENT,
  exitStatus({ done: 'done; --watch: nobody reads the output any more', unreachable: LOST }),
  [
    'Examples:',
    '  vmferry status',
    '  vmferry status --watch --interval 0.5',
    '  vmferry status --check || echo "look at this machine"',
    '  vmferry status --json | jq -r .status.status',
  ],
);

/** Below the options of events. */
export const EVENTS_HELP = join(
  [
    'Output:',
    '  A line an event: time of day, number, name and data. With --json one object a line:',
    '  {"type":"event","id":N,"event":NAME,"data":…,"timestamp":…}; {"type":"gap","from":…,"to":…} for events that',
    '  the service no longer keeps; {"type":"bye"} when it closes.',
    '',
    '  If the connection breaks, it is made again behind the last event seen, for the time of --reconnect.',
  ],
  ENVIRONMENT,
  exitStatus({ done: 'nobody reads the output any more', unreachable: LOST }),
  [
    'Examples:',
    '  vmferry events --since 0',
    '  vmferry events --json | jq -c \'select(.event == "MIGRATION") | .data\'',
  ],
);
