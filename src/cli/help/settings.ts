import { ENVIRONMENT, EXIT_STATUS, join } from './sections.ts';

/* What --help of `vmferry set`, `enable` and `disable` says beside the options. */

/** Below the options of set. */
export const SET_HELP = join(
  [
    'Values:',
    '  Integers are exact up to 2^64-1, and may be 0x…. Bandwidths and cache sizes are bytes (a second) and take a',
    '  suffix k, M, G, T, P or E, powers of 1024, and a fraction before it: 1.5G. All others take no suffix: times',
    '  are milliseconds, throttles percent. Switches are on or off. A list, as of block-bitmap-mapping, is JSON.',
    '  Names, ranges and rules are those of QEMU 10.0; what breaks one is refused, and nothing changes.',
  ],
  ['Output:', '  NAME=VALUE, a line each; with --json all parameters as one object, whatever was set.'],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry set',
    '  vmferry set max-bandwidth=100M downtime-limit=50',
    '  vmferry set --json | jq \'."max-bandwidth"\'',
  ],
);

/** Below the options of enable or disable. */
export function capabilitiesHelp(name: 'enable' | 'disable'): string {
  return join(
    ['Output:', '  NAME: on|off, a line each; with --json all capabilities as one list, whatever was asked for.'],
    ENVIRONMENT,
    EXIT_STATUS,
    ['Examples:', `  vmferry ${name} return-path pause-before-switchover`, `  vmferry ${name}`],
  );
}
