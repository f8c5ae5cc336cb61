import { Command, CommanderError, Option } from 'commander';
import type { Verb } from './client.ts';
import { runJobCommand } from './commands/job.ts';
import { runListCommand } from './commands/list.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';
import { Failure } from './failure.ts';
import { jobHelp, LIST_HELP, SNAPSHOT_HELP } from './help.ts';
import { oneLine } from './printable.ts';
import {
  collect,
  generatedTag,
  parseKey,
  parseSeconds,
  parseWord,
  RECONNECT_SECONDS_DEFAULT,
  serviceToken,
  serviceUrl,
  URL_DEFAULT,
} from './settings.ts';
import type { World } from './world.ts';

/* The command line of `vmferry snapshot`: options and arguments in, a command run. */

const HELP_WIDTH = 110;

/** Runs what the words behind `vmferry snapshot` ask for. */
export async function runSnapshot(argv: readonly string[], world: World): Promise<ExitStatus> {
  let chosen: (() => Promise<ExitStatus>) | null = null;
  try {
    createProgram(world, (run) => {
      chosen = run;
    }).parse(argv, { from: 'user' });
    return chosen === null ? EXIT.done : await (chosen as () => Promise<ExitStatus>)();
  } catch (error) {
    // Commander has said everything already; it ends with 0 after --help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (error instanceof Failure) {
      world.err(`vmferry: ${oneLine(error.message)}\n`);
      return error.exitStatus;
    }
    // A fault of the client says nothing about the job, so it must not look like one that failed.
    world.err(`vmferry: the client failed: ${oneLine(String(error))}\n`);
    return EXIT.unreachable;
  }
}

type Choose = (run: () => Promise<ExitStatus>) => void;

/** Options as commander hands them over. */
type Options = {
  readonly url?: string;
  readonly json?: true;
  readonly quiet?: true;
  readonly vmstate?: string;
  readonly device?: readonly string[];
  readonly jobId?: string;
  readonly wait: boolean;
  readonly timeout?: number;
  readonly cancelOnTimeout?: true;
  readonly reconnect: number;
  readonly idempotencyKey?: string;
};

function createProgram(world: World, choose: Choose): Command {
  const program = new Command('vmferry snapshot')
    .usage('save|load|delete|list|verify [OPTIONS] [TAG]')
    .description('Save, load, delete, list and verify snapshots of the machine of a running vmferry service.')
    .option('--url <URL>', `address of the service (default: VMFERRY_URL, else ${URL_DEFAULT})`)
    .option('--json', 'results and progress for programs, on standard output')
    .option('-q, --quiet', 'no progress; results are only what a script needs: a tag or a job id')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => world.out(text),
      writeErr: (text) => world.err(text),
      getOutHelpWidth: () => Math.min(world.columns() ?? HELP_WIDTH, HELP_WIDTH),
      getErrHelpWidth: () => Math.min(world.columns() ?? HELP_WIDTH, HELP_WIDTH),
      outputError: (text, write) => write(`vmferry: ${oneLine(text.replace(/^error: /, ''))}; see --help\n`),
    })
    .addHelpText('after', SNAPSHOT_HELP);
  addSave(program, world, choose);
  addLoad(program, world, choose);
  addDelete(program, world, choose);
  addList(program, world, choose);
  addVerify(program, world, choose);
  return program;
}

function addSave(program: Command, world: World, choose: Choose): void {
  const command = program
    .command('save')
    .description('Keep the machine as it is now under a tag. It stands still only while its RAM is written.')
    .argument('[TAG]', 'name of the new snapshot (default: vm-YYYYmmddHHMMSS, the local time)', parseWord)
    .addOption(vmstateOption('node whose image takes RAM and device state (default: the service chooses)'))
    .addOption(deviceOption('node whose disk is part of it; may be repeated (default: all that can be written)'));
  addJobOptions(command, 'save');
  command.action((tag: string | undefined) => {
    choose(() => job('save', tag ?? generatedTag(world.clock.date()), command, world));
  });
}

function addLoad(program: Command, world: World, choose: Choose): void {
  const command = program
    .command('load')
    .description('Take the machine back to a snapshot: RAM, devices and disks, or nothing at all if it fails.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(vmstateOption('node whose image holds RAM and device state (default: where the tag has them)'))
    .addOption(deviceOption('node whose disk is taken back; may be repeated (default: all that have the tag)'));
  addJobOptions(command, 'load');
  command.action((tag: string) => choose(() => job('load', tag, command, world)));
}

function addDelete(program: Command, world: World, choose: Choose): void {
  const command = program
    .command('delete')
    .description('Remove a snapshot and free what only it held.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(deviceOption('node to remove it from; may be repeated (default: all that have the tag)'));
  addJobOptions(command, 'delete');
  command.action((tag: string) => choose(() => job('delete', tag, command, world)));
}

function addVerify(program: Command, world: World, choose: Choose): void {
  const command = program
    .command('verify')
    .description('Read a snapshot back and compare it with the digests kept with it. Changes nothing.')
    .argument('<TAG>', 'name of the snapshot', parseWord);
  addJobOptions(command, 'verify');
  command.action((tag: string) => choose(() => job('verify', tag, command, world)));
}

function addList(program: Command, world: World, choose: Choose): void {
  const command = program
    .command('list')
    .description('Print the snapshots there are, or the one with the given tag.')
    .argument('[TAG]', 'only this one; status 4 if there is none', parseWord)
    .addHelpText('after', LIST_HELP);
  command.action((tag: string | undefined) => {
    const { url, json, quiet } = command.optsWithGlobals<Options>();
    const { environment } = world;
    const service = { url: serviceUrl(url, environment.url), token: serviceToken(environment.token) };
    choose(() => runListCommand({ tag: tag ?? null, ...service, json: json ?? false, quiet: quiet ?? false }, world));
  });
}

function vmstateOption(description: string): Option {
  return new Option('--vmstate <NODE>', description).argParser(parseWord);
}

function deviceOption(description: string): Option {
  return new Option('--device <NODE>', description).argParser(collect);
}

function addJobOptions(command: Command, verb: Verb): void {
  const reconnect = new Option('--reconnect <SECONDS>', 'for how long a service that went away is asked again');
  command
    .option('--job-id <ID>', 'name of the job (default: the service makes one)', parseWord)
    .option('--no-wait', 'end as soon as the service has accepted the job')
    .option(
      '--timeout <SECONDS>',
      'wait no longer than that; status 5 then (default: as long as it takes)',
      parseSeconds,
    )
    .option('--cancel-on-timeout', 'cancel the job when --timeout has passed')
    .addOption(reconnect.default(RECONNECT_SECONDS_DEFAULT).argParser(parseSeconds))
    .option('--idempotency-key <KEY>', 'name of this request: sent again, it starts no second job', parseKey)
    .addHelpText('after', jobHelp(verb));
}

function job(verb: Verb, tag: string, command: Command, world: World): Promise<ExitStatus> {
  const options = command.optsWithGlobals<Options>();
  if (options.cancelOnTimeout && options.timeout === undefined) {
    throw new Failure(EXIT.usage, '--cancel-on-timeout needs --timeout SECONDS; see --help');
  }
  if (!options.wait && options.timeout !== undefined) {
    throw new Failure(EXIT.usage, '--no-wait and --timeout exclude each other; see --help');
  }
  const request = {
    ...(options.vmstate === undefined ? {} : { vmstate: options.vmstate }),
    ...(options.device === undefined ? {} : { devices: options.device }),
    ...(options.jobId === undefined ? {} : { 'job-id': options.jobId }),
  };
  return runJobCommand(
    {
      verb,
      tag,
      request,
      url: serviceUrl(options.url, world.environment.url),
      token: serviceToken(world.environment.token),
      waits: options.wait,
      timeoutMs: options.timeout === undefined ? null : options.timeout * 1000,
      cancelsOnTimeout: options.cancelOnTimeout ?? false,
      reconnectMs: options.reconnect * 1000,
      idempotencyKey: options.idempotencyKey ?? null,
      json: options.json ?? false,
      quiet: options.quiet ?? false,
    },
    world,
  );
}
