import { runCapabilitiesCommand, runSetCommand } from '../commands/settings.ts';
import { collect, parseAssignment } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  EXIT_STATUS,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry set`, `enable` and `disable`. */

export function addSet({ program, io, choose }: Grammar): void {
  const command = program
    .command('set')
    .description('Change migration parameters: all that are given, or none. Without arguments: print all.')
    .argument('[NAME=VALUE...]', 'parameter and new value', parseAssignment)
    .addHelpText('after', SET_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((assignments: ReturnType<typeof parseAssignment> | undefined) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
    choose(() => runSetCommand({ ...common, assignments: assignments ?? [] }, io));
  });
}

export function addCapabilities({ program, io, choose }: Grammar): void {
  for (const [name, state] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    const onOff = state ? 'on' : 'off';
    const command = program
      .command(name)
      .description(`Switch migration capabilities ${onOff}: all that are given, or none. Without arguments: print all.`)
      .argument('[CAP...]', 'name of a capability', collect)
      .addHelpText('after', capabilitiesHelp(name));
    addJsonOption(addServiceOptions(command));
    command.action((names: readonly string[] | undefined) => {
      const common = commonOf(command.optsWithGlobals<CommonOptions>(), io);
      choose(() => runCapabilitiesCommand({ ...common, names: names ?? [], state }, io));
    });
  }
}

/** Below the options of set. */
export const SET_HELP = join(
  [
    'Values:',
    '  Integers are exact up to 2^64-1, and may be 0x…. Cache sizes are in bytes, bandwidths in bytes per second;',
    '  both may have a suffix k, M, G, T, P or E (powers of 1024) and a fraction: 1.5G. Other integers have no',
    '  suffix: times are in milliseconds, throttles in percent. Switches are on or off. Lists are JSON.',
    '  Names, ranges and rules are those of QEMU 10.0. If one value breaks a rule, all are refused.',
  ],
  ['Output:', '  Lines of NAME=VALUE; with --json all parameters as one object.'],
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
    ['Output:', '  Lines of NAME: on|off; with --json all capabilities as one list.'],
    ENVIRONMENT,
    EXIT_STATUS,
    ['Examples:', `  vmferry ${name} return-path pause-before-switchover`, `  vmferry ${name}`],
  );
}
