import type { MigrationCapabilityStatusList } from '../../commands/schemas/settings.ts';
import type { Answer } from './answer.ts';

/** `info migrate_capabilities` */
export function capabilitiesText(list: Answer<typeof MigrationCapabilityStatusList>): string {
  return list.map(({ capability, state }) => `${capability}: ${state ? 'on' : 'off'}\n`).join('');
}
