import type { Answer } from '../../commands/command.ts';
import type { BitmapMigrationNodeAlias, MigrationCapabilityStatusList } from '../../commands/schemas/settings.ts';
import type { ParameterDeclaration } from '../../domain/settings/declaration.ts';
import { parameterDeclaration } from '../../domain/settings/declared-settings.ts';
import { MONITOR_PARAMETERS, type ParameterName } from '../../domain/settings/schema-order.ts';
import { printable } from '../line-reader.ts';

/** The text of `info migrate_capabilities`. */
export function capabilitiesText(list: Answer<typeof MigrationCapabilityStatusList>): string {
  return list.map(({ capability, state }) => `${capability}: ${state ? 'on' : 'off'}\n`).join('');
}

/** The text of `info migrate_parameters`. Parameters that have no value are left out. */
export function parametersText(values: Readonly<Partial<Record<ParameterName, unknown>>>): string {
  return MONITOR_PARAMETERS.filter((name) => values[name] !== undefined)
    .map((name) => `${name}:${valueText(parameterDeclaration(name), values[name])}\n`)
    .join('');
}

function valueText(declaration: ParameterDeclaration, value: unknown): string {
  switch (declaration.type) {
    case 'bool':
      return value === true ? ' on' : ' off';
    case 'string-or-null':
      return ` '${printable(String(value))}'`;
    case 'enum':
      return ` ${String(value)}`;
    case 'bitmap-mapping':
      return mappingText(value as readonly Answer<typeof BitmapMigrationNodeAlias>[]);
    default: {
      const { monitorUnit = declaration.unit } = declaration;
      return ` ${String(value)}${monitorUnit === null ? '' : ` ${monitorUnit}`}`;
    }
  }
}

/** Nodes and bitmaps with their aliases, each on a line of its own. */
function mappingText(nodes: readonly Answer<typeof BitmapMigrationNodeAlias>[]): string {
  const lines = nodes.flatMap((node) => [
    `  ${renamed(node['node-name'], node.alias)}`,
    ...node.bitmaps.map((bitmap) => `    ${renamed(bitmap.name, bitmap.alias)}`),
  ]);
  return ['', ...lines].join('\n');
}

function renamed(name: string, alias: string): string {
  return `'${printable(name)}' -> '${printable(alias)}'`;
}
