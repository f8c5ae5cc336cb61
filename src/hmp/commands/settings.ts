import * as table from '../../commands/settings.ts';
import { CAPABILITIES } from '../../domain/settings/schema-order.ts';
import { PARAMETER_NAMES, parameterValue, parameterWords } from '../argument-values.ts';
import type { MonitorCommand } from '../monitor-command.ts';

/* The commands of the text monitor that set capabilities and parameters. */

export const migrateSetCapability: MonitorCommand = {
  names: ['migrate_set_capability'],
  parameters: [
    { name: 'capability', type: 'string', words: () => CAPABILITIES },
    { name: 'state', type: 'switch', words: () => ['on', 'off'] },
  ],
  help: 'switch a capability on or off',
  run: async (call) => {
    const change = { capability: call.text('capability'), state: call.flag('state') };
    await call.execute(table.migrateSetCapabilities, { capabilities: [change] });
    return '';
  },
};

export const migrateSetParameter: MonitorCommand = {
  names: ['migrate_set_parameter'],
  parameters: [
    { name: 'parameter', type: 'string', words: () => PARAMETER_NAMES },
    { name: 'value', type: 'string', words: (_domain, earlier) => parameterWords(earlier.at(-1) ?? '') },
  ],
  help: 'set a parameter; sizes take a suffix (k, M, G, T, P, E), and the bandwidths up to the switchover are in MiB without one',
  run: async (call) => {
    const name = call.text('parameter');
    await call.execute(table.migrateSetParameters, { [name]: parameterValue(name, call.text('value')) });
    return '';
  },
};
