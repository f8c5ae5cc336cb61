import { type Command, Option } from 'commander';
import { Failure } from '../client-failure.ts';
import type { Common } from '../commands/service-command.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import {
  type AddressOptions,
  parseKey,
  parseSeconds,
  RECONNECT_SECONDS_DEFAULT,
  serviceToken,
  serviceUrl,
  URL_DEFAULT,
} from '../option-values.ts';
import type { Waiting } from '../waiting.ts';
import type { World } from '../world.ts';

/* What the commands have in common on the command line. */

/** What the families of commands are added to. */
export type Grammar = {
  readonly program: Command;
  readonly world: World;
  /** Told of the command that was asked for; it runs when the whole line has been read. */
  readonly choose: (run: () => Promise<ExitStatus>) => void;
};

/** Options as commander hands them over. */
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
  return command.option('--json', 'what the service says as JSON, for programs, on standard output');
}

export function reconnectOption(): Option {
  return new Option('--reconnect <SECONDS>', 'for how long a service that went away is asked again')
    .default(RECONNECT_SECONDS_DEFAULT)
    .argParser(parseSeconds);
}

/** Options of what is waited for; `what` is `job` or `migration`. */
export function addWaitingOptions(command: Command, what: string): Command {
  return command
    .option(
      '--timeout <SECONDS>',
      'wait no longer than that; status 5 then (default: as long as it takes)',
      parseSeconds,
    )
    .option('--cancel-on-timeout', `cancel the ${what} when --timeout has passed`)
    .addOption(reconnectOption())
    .option('--idempotency-key <KEY>', `name of this request: sent again, it starts no second ${what}`, parseKey);
}

/** @throws Failure if the address or the token cannot be used. */
export function commonOf({ tokenFile, json, ...address }: CommonOptions, { environment }: World): Common {
  const service = { url: serviceUrl(address, environment), token: serviceToken(tokenFile, environment.token) };
  return { service, json: json ?? false };
}

/** @throws Failure if options exclude each other. */
export function waitingOf(options: WaitingOptions, waits: boolean, notWaiting: string): Waiting {
  if (options.cancelOnTimeout && options.timeout === undefined) {
    throw new Failure(EXIT.usage, '--cancel-on-timeout needs --timeout SECONDS; see --help');
  }
  if (!waits && options.timeout !== undefined) throw new Failure(EXIT.usage, `${notWaiting}; see --help`);
  return {
    waits,
    timeoutMs: options.timeout === undefined ? null : options.timeout * 1000,
    cancelsOnTimeout: options.cancelOnTimeout ?? false,
    reconnectMs: options.reconnect * 1000,
    idempotencyKey: options.idempotencyKey ?? null,
  };
}
