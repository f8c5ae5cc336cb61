import { runCapabilitiesCommand, runSetCommand } from '../commands/settings.ts';
import { capabilitiesHelp, SET_HELP } from '../help/settings.ts';
import { collect, parseAssignment } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command lines of `vmferry set`, `enable` and `disable`. */

export function addSet({ program, world, choose }: Grammar): void {
  const command = program
    .command('set')
    .description('Change migration parameters: all of those given, or none. Without any it prints every one.')
    .argument('[NAME=VALUE...]', 'parameter and new value', parseAssignment)
    .addHelpText('after', SET_HELP);
  addJsonOption(addServiceOptions(command));
  command.action((assignments: ReturnType<typeof parseAssignment> | undefined) => {
    const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
    choose(() => runSetCommand({ ...common, assignments: assignments ?? [] }, world));
  });
}

export function addCapabilities({ program, world, choose }: Grammar): void {
  for (const [name, state] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    const onOff = state ? 'on' : 'off';
    const command = program
      .command(name)
      .description(
        `Switch migration capabilities ${onOff}: all of those given, or none. Without any it prints every one.`,
      )
      .argument('[CAP...]', 'name of a capability', collect)
      .addHelpText('after', capabilitiesHelp(name));
    addJsonOption(addServiceOptions(command));
    command.action((names: readonly string[] | undefined) => {
      const common = commonOf(command.optsWithGlobals<CommonOptions>(), world);
      choose(() => runCapabilitiesCommand({ ...common, names: names ?? [], state }, world));
    });
  }
}
