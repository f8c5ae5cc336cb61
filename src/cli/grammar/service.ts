import { runVersionCommand, runWaitCommand } from '../commands/service.ts';
import { parseProcessId, parseSeconds, serviceToken, serviceUrl } from '../option-values.ts';
import {
  addJsonOption,
  addServiceOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  exitStatus,
  type Grammar,
  join,
} from './common-options.ts';

/* Options and help of `vmferry wait` and `vmferry version`. */

type WaitOptions = CommonOptions & { readonly timeout?: number; readonly pid?: number };

export function addService({ program, io, choose }: Grammar): void {
  const wait = program
    .command('wait')
    .description('Wait until a service is ready, and print its address.')
    .option('--timeout <SECONDS>', 'wait no longer than this, then end with status 5 (default: no limit)', parseSeconds)
    .option('--pid <PID>', 'end with status 1 when the process of this number has ended', parseProcessId)
    .option('-q, --quiet', 'print nothing')
    .addHelpText('after', WAIT_HELP);
  addJsonOption(addServiceOptions(wait));
  wait.action(() => {
    const { timeout, pid, quiet, json, ...options } = wait.optsWithGlobals<WaitOptions>();
    const command = {
      locate: () => serviceUrl(options, io.environment),
      token: serviceToken(options.tokenFile, io.environment.token),
      timeoutMs: timeout === undefined ? null : timeout * 1000,
      pid: pid ?? null,
      json: json ?? false,
      quiet: quiet ?? false,
    };
    choose(() => runWaitCommand(command, io));
  });

  const version = program
    .command('version')
    .description('Print the version of this program, and of the service if it answers.')
    .addHelpText('after', VERSION_HELP);
  addJsonOption(addServiceOptions(version));
  version.action(() => {
    const common = commonOf(version.optsWithGlobals<CommonOptions>(), io);
    choose(() => runVersionCommand(common, io));
  });
}

export const WAIT_HELP = join(
  [
    'Waiting:',
    '  A service that does not answer yet, or is not ready, is asked again. The address may be in a file that the',
    '  service writes (serve --url-file FILE): the command waits for the file too. With --pid the wait ends when',
    '  that process ends: the command neither waits for a service that could not start, nor finds another one.',
  ],
  ['Output:', '  The address of the service; with --json {"url":…,"ready":true}.'],
  ENVIRONMENT,
  exitStatus({
    done: 'the service is ready',
    failed: 'the process of --pid has ended',
    unreachable: 'an unexpected answer: another program listens there; or output that could not be written',
    refused: 'the service refused the token',
    timedOut: '--timeout passed before the service was ready',
  }),
  [
    'Examples:',
    '  vmferry serve --http 127.0.0.1:0 --url-file vm.url &',
    '  VMFERRY_URL=$(vmferry wait --url-file vm.url --pid $! --timeout 60)',
  ],
);

export const VERSION_HELP = join(
  ['Output:', '  vmferry VERSION, and service VERSION at URL; with --json {"version":…,"service":…}; null: no answer.'],
  ENVIRONMENT,
  exitStatus({ unreachable: 'output that could not be written', refused: null }),
  ['Examples:', '  vmferry version'],
);
