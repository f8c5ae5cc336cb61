import { runWaitCommand } from '../commands/service.ts';
import { runVersionCommand } from '../commands/version.ts';
import { VERSION_HELP, WAIT_HELP } from '../help/service.ts';
import { parseProcessId, parseSeconds, serviceToken, serviceUrl } from '../option-values.ts';
import { addJsonOption, addServiceOptions, type CommonOptions, commonOf, type Grammar } from './common-options.ts';

/* The command lines of `vmferry wait` and `vmferry version`: the service, whatever its machine does. */

type WaitOptions = CommonOptions & { readonly timeout?: number; readonly pid?: number };

export function addService({ program, world, choose }: Grammar): void {
  const wait = program
    .command('wait')
    .description('Wait until a service is ready, and print its address.')
    .option(
      '--timeout <SECONDS>',
      'wait no longer than that; status 5 then (default: as long as it takes)',
      parseSeconds,
    )
    .option('--pid <PID>', 'give up, with status 1, when the process of this number has ended', parseProcessId)
    .option('-q, --quiet', 'print nothing')
    .addHelpText('after', WAIT_HELP);
  addJsonOption(addServiceOptions(wait));
  wait.action(() => {
    const { timeout, pid, quiet, json, ...options } = wait.optsWithGlobals<WaitOptions>();
    const command = {
      locate: () => serviceUrl(options, world.environment),
      token: serviceToken(options.tokenFile, world.environment.token),
      timeoutMs: timeout === undefined ? null : timeout * 1000,
      pid: pid ?? null,
      json: json ?? false,
      quiet: quiet ?? false,
    };
    choose(() => runWaitCommand(command, world));
  });

  const version = program
    .command('version')
    .description('Print the version of this program, and that of the service if one answers.')
    .addHelpText('after', VERSION_HELP);
  addJsonOption(addServiceOptions(version));
  version.action(() => {
    const common = commonOf(version.optsWithGlobals<CommonOptions>(), world);
    choose(() => runVersionCommand(common, world));
  });
}
