import { ENVIRONMENT, EXIT_STATUS, exitStatus, join } from './sections.ts';

/* What --help of `vmferry stop`, `cont`, `console`, `workload` and `dirty-rate` says beside the options. */

/** Below the options of stop or cont. */
export function stopContHelp(verb: 'stop' | 'cont'): string {
  return join(
    ['Output:', '  The run state afterwards; with --json {"running":…,"status":…}.'],
    ENVIRONMENT,
    EXIT_STATUS,
    ['Examples:', `  vmferry ${verb}`],
  );
}

export const CONSOLE_HELP = join(
  ['Output:', '  The text as it is, but for characters that would steer a terminal; with --json {"text":…}.'],
  ENVIRONMENT,
  EXIT_STATUS,
  ['Examples:', '  vmferry console', '  vmferry console | tail -1'],
);

export const WORKLOAD_HELP = join(
  [
    'Values:',
    '  rate     bytes that the guest writes in a second, with k, M or G; 0: it is idle',
    '  span     bytes of RAM that it writes to, with k, M or G',
    '  pattern  hot, seq or random',
  ],
  ['Output:', '  NAME=VALUE, a line each; with --json the workload as an object.'],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry workload',
    '  vmferry workload rate=1.5M span=64M pattern=random',
    '  vmferry workload rate=0',
  ],
);

export const DIRTY_RATE_HELP = join(
  [
    'Output:',
    '  20 MiB/s (page-sampling, in 1 s), and with --mode dirty-ring a line for each vCPU; with --json the answer of',
    '  GET /dirty-rate. Ctrl-C ends the wait for a result: the measurement goes on, and --last prints it later.',
  ],
  ENVIRONMENT,
  exitStatus({ failed: '--last: nothing has been measured yet' }),
  [
    'Examples:',
    '  vmferry dirty-rate',
    '  vmferry dirty-rate --time 0.5 --mode dirty-bitmap',
    '  vmferry dirty-rate --last',
  ],
);
