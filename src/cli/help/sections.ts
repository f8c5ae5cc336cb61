import { EXIT_STATUSES, GENERAL_EXIT_STATUSES } from '../exit-status.ts';
import { URL_DEFAULT } from '../settings.ts';

/* Sections of help that several commands have. */

function exitStatus(table: typeof EXIT_STATUSES): readonly string[] {
  return ['Exit status:', ...table.map(([status, text]) => `  ${String(status).padEnd(5)}${text}`)];
}

export const SNAPSHOT_EXIT_STATUS = exitStatus(EXIT_STATUSES);
export const EXIT_STATUS = exitStatus(GENERAL_EXIT_STATUSES);

export const ENVIRONMENT = [
  'Environment:',
  `  VMFERRY_URL    address of the service where --url is not given [${URL_DEFAULT}]`,
  '  VMFERRY_TOKEN  bearer token to send where --token-file is not given, for a service that asks for one',
];

/** Sections, an empty line before each. */
export function join(...parts: readonly (readonly string[])[]): string {
  return parts.map((lines) => `\n${lines.join('\n')}\n`).join('');
}
