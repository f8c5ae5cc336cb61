import { type Command, Option } from 'commander';
import { EXIT, type ExitStatus, Failure } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import type { Common } from '../commands/run-reported.ts';
import {
  type AddressOptions,
  parseKey,
  parseSeconds,
  RECONNECT_SECONDS_DEFAULT,
  serviceToken,
  serviceUrl,
  URL_DEFAULT,
} from '../option-values.ts';
import type { Waiting } from '../work-follower.ts';

/* Options and help sections that several commands have. */

/** The parts that a command family needs to add its commands. */
export type Grammar = {
  readonly program: Command;
  readonly io: CommandIo;
  /** Receives the command of the line. It runs after the whole line has been parsed. */
  readonly choose: (run: () => Promise<ExitStatus>) => void;
};

/** Options as commander gives them. */
export type CommonOptions = AddressOptions & {
  readonly tokenFile?: string;
  readonly json?: true;
  readonly quiet?: true;
};

export type WaitingOptions = {
  readonly wait?: boolean;
  readonly timeout?: number;
  readonly cancelOnTimeout?: true;
  readonly reconnect: number;
  readonly idempotencyKey?: string;
};

export function addServiceOptions(command: Command): Command {
  return command
    .option('--url <URL>', `address of the service (default: VMFERRY_URL, else ${URL_DEFAULT})`)
    .option('--url-file <FILE>', 'file that holds the address, as serve --url-file writes it')
    .option('--token-file <FILE>', 'file that holds the bearer token and nothing else (default: VMFERRY_TOKEN)');
}

export function addJsonOption(command: Command): Command {
  return command.option('--json', 'print the answers of the service as JSON, for programs');
}

export function reconnectOption(): Option {
  return new Option('--reconnect <SECONDS>', 'how long a lost service is asked again')
    .default(RECONNECT_SECONDS_DEFAULT)
    .argParser(parseSeconds);
}

/** Options of a command that waits for its work. */
export function addWaitingOptions(command: Command, work: 'job' | 'migration'): Command {
  return command
    .option('--timeout <SECONDS>', 'wait no longer than this, then end with status 5 (default: no limit)', parseSeconds)
    .option('--cancel-on-timeout', `cancel the ${work} when --timeout has passed`)
    .addOption(reconnectOption())
    .option('--idempotency-key <KEY>', `name of this request: sent again, it starts no second ${work}`, parseKey);
}

/** Service and output form of a command. @throws Failure if the address or the token is not valid. */
export function commonOf({ tokenFile, json, ...address }: CommonOptions, { environment }: CommandIo): Common {
  const service = { url: serviceUrl(address, environment), token: serviceToken(tokenFile, environment.token) };
  return { service, json: json ?? false };
}

/** The waiting of a command; `conflict` is the message for --timeout without waiting. @throws Failure if options conflict. */
export function waitingOf(options: WaitingOptions, waits: boolean, conflict: string): Waiting {
  if (options.cancelOnTimeout && options.timeout === undefined) {
    throw new Failure(EXIT.usage, '--cancel-on-timeout needs --timeout SECONDS; see --help');
  }
  if (!waits && options.timeout !== undefined) throw new Failure(EXIT.usage, `${conflict}; see --help`);
  return {
    waits,
    timeoutMs: options.timeout === undefined ? null : options.timeout * 1000,
    cancelsOnTimeout: options.cancelOnTimeout ?? false,
    reconnectMs: options.reconnect * 1000,
    idempotencyKey: options.idempotencyKey ?? null,
  };
}

/** Meanings of exit statuses for one command; null: the command never ends with this status. */
type Meanings = Partial<Record<keyof typeof EXIT, string | null>>;

/** Meanings for a command that sends a request, prints the answer and ends. */
const PLAIN: Meanings = {
  done: 'done',
  usage: 'the command line or the environment is not valid; nothing was changed',
  unreachable: 'no answer, or an unexpected answer; or output that could not be written',
  refused: 'the service refused the request: invalid value, conflict, no permission',
  interrupted: 'ended by Ctrl-C (SIGINT)',
  terminated: 'ended by SIGTERM',
};

/** Help section with the exit statuses that a command can have. */
export function exitStatus(own: Meanings = {}): readonly string[] {
  const meanings = { ...PLAIN, ...own };
  const names = Object.keys(EXIT) as (keyof typeof EXIT)[];
  return table(names.flatMap((name) => (meanings[name] == null ? [] : [[EXIT[name], meanings[name]] as const])));
}

function table(rows: readonly (readonly [status: ExitStatus, text: string])[]): readonly string[] {
  return ['Exit status:', ...rows.map(([status, text]) => `  ${String(status).padEnd(5)}${text}`)];
}

/** Exit statuses of `vmferry snapshot`, as in --help and docs/ci.md. */
export const EXIT_STATUSES: readonly (readonly [status: ExitStatus, meaning: string])[] = [
  [EXIT.done, 'the job completed; with --no-wait: the service accepted it'],
  [EXIT.failed, 'the job failed or was cancelled, or the service stopped during the job'],
  [EXIT.usage, 'the command line or the environment is not valid; no request was sent'],
  [
    EXIT.unreachable,
    'no answer, a service that stays lost, or an unexpected answer; or output that could not be written',
  ],
  [EXIT.refused, 'the service refused the request: no such snapshot, a conflict, an invalid value, no permission'],
  [EXIT.timedOut, '--timeout passed before the job completed; without --cancel-on-timeout it continues'],
  [EXIT.interrupted, 'ended by Ctrl-C (SIGINT); a cancel of the job was attempted'],
  [EXIT.terminated, 'ended by SIGTERM; a cancel of the job was attempted'],
];

/** Exit statuses of all other commands, as in --help and docs/cli.md. */
export const GENERAL_EXIT_STATUSES: typeof EXIT_STATUSES = [
  [EXIT.done, 'done; migrate: accepted, with --wait completed; cancel: the migration was cancelled'],
  [
    EXIT.failed,
    'migrate: failed, cancelled, or the guest has panicked; cancel: too late or none; status --check: a problem',
  ],
  [EXIT.usage, 'the command line or the environment is not valid; nothing was changed'],
  [
    EXIT.unreachable,
    'no answer, a service that stays lost, or an unexpected answer; or output that could not be written',
  ],
  [EXIT.refused, 'the service refused the request: invalid value, conflict, no permission; qmp, monitor: an error'],
  [EXIT.timedOut, '--timeout passed before the migration completed; without --cancel-on-timeout it continues'],
  [EXIT.interrupted, 'ended by Ctrl-C (SIGINT); migrate --wait: a cancel of the migration was attempted'],
  [EXIT.terminated, 'ended by SIGTERM, as above'],
];

/** Help section for commands that start a snapshot job. */
export const SNAPSHOT_EXIT_STATUS = table(EXIT_STATUSES);
/** Help section for commands that send a request, print the answer and end. */
export const EXIT_STATUS = exitStatus();

export const ENVIRONMENT = [
  'Environment:',
  `  VMFERRY_URL       address of the service where neither --url nor --url-file is given [${URL_DEFAULT}]`,
  '  VMFERRY_URL_FILE  file that holds the address, where VMFERRY_URL is not set',
  '  VMFERRY_TOKEN     bearer token where --token-file is not given, for a service that requires one',
];

/** Joins help sections, with an empty line before each. */
export function join(...parts: readonly (readonly string[])[]): string {
  return parts.map((lines) => `\n${lines.join('\n')}\n`).join('');
}
