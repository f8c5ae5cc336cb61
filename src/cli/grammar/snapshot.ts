import { type Command, Option } from 'commander';
import { runListCommand } from '../commands/list.ts';
import { runJobCommand } from '../commands/snapshot.ts';
import type { ExitStatus } from '../exit-status.ts';
import { jobHelp, LIST_HELP, SNAPSHOT_HELP } from '../help/snapshot.ts';
import { collect, generatedTag, parseWholeSeconds, parseWord } from '../option-values.ts';
import type { Verb } from '../service-client.ts';
import type { World } from '../world.ts';
import {
  addServiceOptions,
  addWaitingOptions,
  type CommonOptions,
  commonOf,
  type Grammar,
  type WaitingOptions,
  waitingOf,
} from './common-options.ts';

/* The command line of `vmferry snapshot`. */

type Options = CommonOptions &
  WaitingOptions & {
    readonly vmstate?: string;
    readonly device?: readonly string[];
    readonly node?: readonly string[];
    readonly jobId?: string;
    readonly replace?: true;
    readonly ifMissing?: true;
    readonly diskOnly?: true;
    readonly description?: string;
    readonly ttl?: number;
  };

export function addSnapshot({ program, world, choose }: Grammar): void {
  const snapshot = program
    .command('snapshot')
    .usage('save|load|delete|list|verify|compact [OPTIONS] [TAG]')
    .description(
      'Save, load, delete, list and verify snapshots of the machine of a running vmferry service; compact their images.',
    )
    .addHelpText('after', SNAPSHOT_HELP);
  addServiceOptions(snapshot)
    .option('--json', 'results and progress for programs, on standard output')
    .option('-q, --quiet', 'no progress; results are only what a script needs: a tag or a job id');
  const family = { program: snapshot, world, choose };
  addSave(family);
  addLoad(family);
  addDelete(family);
  addList(family);
  addVerify(family);
  addCompact(family);
}

function addSave({ program, world, choose }: Grammar): void {
  const command = program
    .command('save')
    .description('Keep the machine as it is now under a tag. It stands still only while its RAM is written.')
    .argument('[TAG]', 'name of the new snapshot (default: vm-YYYYmmddHHMMSS, the local time)', parseWord)
    .addOption(vmstateOption('node whose image takes RAM and device state (default: the service chooses)'))
    .addOption(deviceOption('node whose disk is part of it; may be repeated (default: all that can be written)'))
    .option('--replace', 'replace a snapshot that has the tag, once the new one is whole')
    .addOption(new Option('--if-missing', 'do nothing if a whole snapshot has the tag').conflicts('replace'))
    .addOption(new Option('--disk-only', 'save only disks, no RAM and devices').conflicts('vmstate'))
    .option('--description <TEXT>', 'kept and shown with the snapshot, up to 200 characters', parseWord)
    .option('--ttl <SECONDS>', 'let the service delete it after so long', parseWholeSeconds);
  addJobOptions(command, 'save');
  command.action((tag: string | undefined) => {
    choose(() => job('save', tag ?? generatedTag(world.clock.date()), command, world));
  });
}

function addLoad({ program, world, choose }: Grammar): void {
  const command = program
    .command('load')
    .description('Take the machine back to a snapshot: RAM, devices and disks, or nothing at all if it fails.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(vmstateOption('node whose image holds RAM and device state (default: where the tag has them)'))
    .addOption(deviceOption('node whose disk is taken back; may be repeated (default: all that have the tag)'));
  addJobOptions(command, 'load');
  command.action((tag: string) => choose(() => job('load', tag, command, world)));
}

function addDelete({ program, world, choose }: Grammar): void {
  const command = program
    .command('delete')
    .description('Remove a snapshot and free what only it held.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(deviceOption('node to remove it from; may be repeated (default: all that have the tag)'));
  addJobOptions(command, 'delete');
  command.action((tag: string) => choose(() => job('delete', tag, command, world)));
}

function addVerify({ program, world, choose }: Grammar): void {
  const command = program
    .command('verify')
    .description('Read a snapshot back and compare it with the digests kept with it. Changes nothing.')
    .argument('<TAG>', 'name of the snapshot', parseWord);
  addJobOptions(command, 'verify');
  command.action((tag: string) => choose(() => job('verify', tag, command, world)));
}

function addCompact({ program, world, choose }: Grammar): void {
  const command = program
    .command('compact')
    .description('Shorten image files to what they use, after snapshots were deleted. The guest may run.')
    .addOption(nodeOption('node whose image is compacted; may be repeated (default: all that can be written)'));
  addJobOptions(command, 'compact');
  command.action(() => choose(() => job('compact', null, command, world)));
}

function addList({ program, world, choose }: Grammar): void {
  const command = program
    .command('list')
    .description('Print the snapshots there are, or the one with the given tag.')
    .argument('[TAG]', 'only this one; status 4 if there is none', parseWord)
    .addHelpText('after', LIST_HELP);
  command.action((tag: string | undefined) => {
    const options = command.optsWithGlobals<Options>();
    const common = commonOf(options, world);
    choose(() => runListCommand({ ...common, tag: tag ?? null, quiet: options.quiet ?? false }, world));
  });
}

function vmstateOption(description: string): Option {
  return new Option('--vmstate <NODE>', description).argParser(parseWord);
}

function deviceOption(description: string): Option {
  return new Option('--device <NODE>', description).argParser(collect);
}

function nodeOption(description: string): Option {
  return new Option('--node <NODE>', description).argParser(collect);
}

function addJobOptions(command: Command, verb: Verb): void {
  command
    .option('--job-id <ID>', 'name of the job (default: the service makes one)', parseWord)
    .option('--no-wait', 'end as soon as the service has accepted the job');
  addWaitingOptions(command, 'job').addHelpText('after', jobHelp(verb));
}

function job(verb: Verb, tag: string | null, command: Command, world: World): Promise<ExitStatus> {
  const options = command.optsWithGlobals<Options>();
  const waiting = waitingOf(options, options.wait ?? true, '--no-wait and --timeout exclude each other');
  const request = {
    ...(options.vmstate === undefined ? {} : { vmstate: options.vmstate }),
    ...(options.device === undefined ? {} : { devices: options.device }),
    ...(options.node === undefined ? {} : { devices: options.node }),
    ...(options.jobId === undefined ? {} : { 'job-id': options.jobId }),
    ...(options.replace === undefined ? {} : { replace: options.replace }),
    ...(options.ifMissing === undefined ? {} : { 'if-missing': options.ifMissing }),
    ...(options.diskOnly === undefined ? {} : { 'disk-only': options.diskOnly }),
    ...(options.description === undefined ? {} : { description: options.description }),
    ...(options.ttl === undefined ? {} : { ttl: options.ttl }),
  };
  const common = commonOf(options, world);
  return runJobCommand({ ...common, ...waiting, verb, tag, request, quiet: options.quiet ?? false }, world);
}
