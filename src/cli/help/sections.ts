import { EXIT, EXIT_STATUSES, type ExitStatus } from '../exit-status.ts';
import { URL_DEFAULT } from '../option-values.ts';

/* Sections of help that several commands have. */

/** What a status says of one command; null: the command never ends with it. */
type Meanings = Partial<Record<keyof typeof EXIT, string | null>>;

/** Of a command that asks, prints and ends. */
const PLAIN: Meanings = {
  done: 'done',
  usage: 'the command line or the environment is wrong; nothing was changed',
  unreachable: 'no service there, or an unexpected answer; or output that could not be written',
  refused: 'the service refused: wrong name or value, conflict, no permission',
  interrupted: 'ended by Ctrl-C (SIGINT)',
  terminated: 'ended by SIGTERM',
};

/** The statuses that a command may end with, and no others. */
export function exitStatus(own: Meanings = {}): readonly string[] {
  const meanings = { ...PLAIN, ...own };
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return table(names.flatMap((name) => (meanings[name] == null ? [] : [[EXIT[name], meanings[name]] as const])));
}

function table(rows: readonly (readonly [status: ExitStatus, text: string])[]): readonly string[] {
  return ['Exit status:', ...rows.map(([status, text]) => `  ${String(status).padEnd(5)}${text}`)];
}

/** Of commands that start a snapshot job and wait for it. */
export const SNAPSHOT_EXIT_STATUS = table(EXIT_STATUSES);
/** Of commands that ask, print and end. */
export const EXIT_STATUS = exitStatus();

export const ENVIRONMENT = [
  'Environment:',
  `  VMFERRY_URL       address of the service where neither --url nor --url-file is given [${URL_DEFAULT}]`,
  '  VMFERRY_URL_FILE  file that holds it, where VMFERRY_URL is not set',
  '  VMFERRY_TOKEN     bearer token to send where --token-file is not given, for a service that asks for one',
];

/** Sections, an empty line before each. */
export function join(...parts: readonly (readonly string[])[]): string {
  return parts.map((lines) => `\n${lines.join('\n')}\n`).join('');
}
