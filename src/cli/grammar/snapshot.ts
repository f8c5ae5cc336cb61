import { type Command, Option } from 'commander';
import type { ExitStatus } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { runJobCommand, runListCommand } from '../commands/snapshot.ts';
import { collect, parseWholeSeconds, parseWord } from '../option-values.ts';
import type { Verb } from '../service-client.ts';
import {
  addServiceOptions,
  addWaitingOptions,
  type CommonOptions,
  commonOf,
  ENVIRONMENT,
  SNAPSHOT_EXIT_STATUS as EXIT_STATUS,
  exitStatus,
  type Grammar,
  join,
  type WaitingOptions,
  waitingOf,
} from './common-options.ts';

/* Options and help of `vmferry snapshot`. */

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

export function addSnapshot({ program, io, choose }: Grammar): void {
  const snapshot = program
    .command('snapshot')
    .usage('save|load|delete|list|verify|compact [OPTIONS] [TAG]')
    .description(
      'Save, load, delete, list and verify snapshots of the machine of a running vmferry service; compact their images.',
    )
    .addHelpText('after', SNAPSHOT_HELP);
  addServiceOptions(snapshot)
    .option('--json', 'print results and progress as JSON, for programs')
    .option('-q, --quiet', 'no progress; as result only the tag or the job id');
  const family = { program: snapshot, io, choose };
  addSave(family);
  addLoad(family);
  addDelete(family);
  addList(family);
  addVerify(family);
  addCompact(family);
}

function addSave({ program, io, choose }: Grammar): void {
  const command = program
    .command('save')
    .description(
      'Save the current state of the machine under a tag. The guest is stopped only while its RAM is written.',
    )
    .argument('[TAG]', 'name of the new snapshot (default: vm-YYYYmmddHHMMSS, the local time)', parseWord)
    .addOption(vmstateOption('node whose image stores RAM and device state (default: the service chooses)'))
    .addOption(deviceOption('node whose disk is saved; may be repeated (default: all writable nodes)'))
    .option('--replace', 'replace a snapshot with this tag, once the new one is complete')
    .addOption(
      new Option('--if-missing', 'do nothing if there is a complete snapshot with this tag').conflicts('replace'),
    )
    .addOption(new Option('--disk-only', 'save only disks, without RAM and devices').conflicts('vmstate'))
    .option('--description <TEXT>', 'text shown with the snapshot, up to 200 characters', parseWord)
    .option('--ttl <SECONDS>', 'let the service delete the snapshot after this time', parseWholeSeconds);
  addJobOptions(command, 'save');
  command.action((tag: string | undefined) => {
    choose(() => job('save', tag ?? generatedTag(io.clock.date()), command, io));
  });
}

function addLoad({ program, io, choose }: Grammar): void {
  const command = program
    .command('load')
    .description('Restore the machine from a snapshot: RAM, devices and disks. A failed load changes nothing.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(
      vmstateOption('node whose image holds RAM and device state (default: the node that has them under the tag)'),
    )
    .addOption(deviceOption('node whose disk is restored; may be repeated (default: all nodes with the tag)'));
  addJobOptions(command, 'load');
  command.action((tag: string) => choose(() => job('load', tag, command, io)));
}

function addDelete({ program, io, choose }: Grammar): void {
  const command = program
    .command('delete')
    .description('Delete a snapshot and free its space.')
    .argument('<TAG>', 'name of the snapshot', parseWord)
    .addOption(deviceOption('node to delete it from; may be repeated (default: all nodes with the tag)'));
  addJobOptions(command, 'delete');
  command.action((tag: string) => choose(() => job('delete', tag, command, io)));
}

function addVerify({ program, io, choose }: Grammar): void {
  const command = program
    .command('verify')
    .description('Read a snapshot and compare it with its stored digests. Changes nothing.')
    .argument('<TAG>', 'name of the snapshot', parseWord);
  addJobOptions(command, 'verify');
  command.action((tag: string) => choose(() => job('verify', tag, command, io)));
}

function addCompact({ program, io, choose }: Grammar): void {
  const command = program
    .command('compact')
    .description('Shorten image files to the space that they use, for example after a delete. The guest may run.')
    .addOption(nodeOption('node whose image is compacted; may be repeated (default: all writable nodes)'));
  addJobOptions(command, 'compact');
  command.action(() => choose(() => job('compact', null, command, io)));
}

function addList({ program, io, choose }: Grammar): void {
  const command = program
    .command('list')
    .description('Print all snapshots, or the snapshot with the given tag.')
    .argument('[TAG]', 'only this snapshot; status 4 if there is none', parseWord)
    .addHelpText('after', LIST_HELP);
  command.action((tag: string | undefined) => {
    const options = command.optsWithGlobals<Options>();
    const common = commonOf(options, io);
    choose(() => runListCommand({ ...common, tag: tag ?? null, quiet: options.quiet ?? false }, io));
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
    .option('--job-id <ID>', 'id of the job (default: the service chooses one)', parseWord)
    .option('--no-wait', 'end when the service has accepted the job');
  addWaitingOptions(command, 'job').addHelpText('after', jobHelp(verb));
}

function job(verb: Verb, tag: string | null, command: Command, io: CommandIo): Promise<ExitStatus> {
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
  const common = commonOf(options, io);
  return runJobCommand({ ...common, ...waiting, verb, tag, request, quiet: options.quiet ?? false }, io);
}

/** The tag that QEMU gives a snapshot without a name, from local time: `vm-20261124021530`. */
export function generatedTag(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `vm-${day}${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}

const OUTPUT = [
  'Output:',
  '  Results go to standard output, progress and errors to standard error: a bar on a terminal, elsewhere at',
  '  most one line per second, and only after a change. With --json everything goes to standard output, one',
  '  JSON object on each line: {"type":"progress"|"note","job":…}. The last line is {"type":"result"} or',
  '  {"type":"error"} and has "exit-status".',
];

const WAITING = [
  'Waiting:',
  '  The command follows its job to the end. At Ctrl-C or SIGTERM it asks the service to cancel the job and waits',
  '  for the end of the job; a second Ctrl-C ends the command at once. A lost service is asked again for the time',
  '  of --reconnect. If the service stopped during the job, the job has failed (status 1).',
];

const RETRIES = [
  'Idempotency:',
  '  The same request with the same --idempotency-key starts no second job: the command follows the first one,',
  '  running or ended. With a key made of the CI run and the step, a retried step succeeds even if its first',
  '  attempt did the work.',
];

/** Below the list of verbs. */
export const SNAPSHOT_HELP = join(
  [
    'A snapshot is the state of the machine at one moment: RAM, devices and disks. It is stored in the qcow2 images',
    'of the block device nodes, where QEMU can read it too. Each command uses a running service; all but list start',
    'a job and wait for its end. Each verb has a --help: "vmferry snapshot save --help".',
  ],
  ENVIRONMENT,
  EXIT_STATUS,
  [
    'Examples:',
    '  vmferry snapshot save warm         save the current state of the machine',
    '  vmferry snapshot load warm         restore that state, any number of times',
    '  vmferry snapshot list              print all snapshots',
  ],
);

const EXAMPLES = {
  save: [
    'Examples:',
    '  vmferry snapshot save warm',
    '      Save the machine as "warm". An existing snapshot is replaced only with --replace, else status 4.',
    '  vmferry snapshot save warm --if-missing --ttl 604800 --description "caches are warm"',
    '      Only if there is none; the service deletes it after a week.',
    '  tag=$(vmferry snapshot save --quiet)',
    '      Let the command choose the tag, and keep it.',
    '  vmferry snapshot save warm --timeout 120 --cancel-on-timeout --idempotency-key "$CI_PIPELINE_ID-warm"',
    '      A step of a CI run that may be retried.',
    '  vmferry snapshot save warm --vmstate disk0 --device disk0 --device disk1',
    '      RAM and devices into disk0, and both disks.',
  ],
  load: [
    'Examples:',
    '  vmferry snapshot load warm',
    '      Restore RAM, devices and disks. After a failed load the machine continues unchanged.',
  ],
  delete: [
    'Examples:',
    '  vmferry snapshot delete warm',
    '      Status 4 (snapshot_not_found) if there is none.',
    '  vmferry snapshot delete warm || [ $? -eq 4 ]',
    '      For clean-up steps.',
    '  vmferry snapshot delete -- "$tag"',
    '      A tag that may begin with "-".',
  ],
  verify: [
    'Examples:',
    '  vmferry snapshot verify warm && vmferry snapshot load warm',
    '      Damage gives status 1; each damaged place is printed on standard error.',
  ],
  compact: [
    'Examples:',
    '  vmferry snapshot delete old && vmferry snapshot compact',
    '      Prints the length and the disk usage of each image file, before and after.',
    '  vmferry snapshot compact --node disk0 --timeout 600 --cancel-on-timeout',
    '      One image, for at most ten minutes; the work done until then stays.',
  ],
} as const;

/** Below the options of a verb that starts a job. */
export function jobHelp(verb: keyof typeof EXAMPLES): string {
  return join(OUTPUT, WAITING, RETRIES, ENVIRONMENT, EXIT_STATUS, EXAMPLES[verb]);
}

/** Below the options of list. */
export const LIST_HELP = join(
  ENVIRONMENT,
  exitStatus({ refused: 'the service refused the request: no such snapshot, no permission' }),
  [
    'Examples:',
    '  vmferry snapshot list',
    '  status=0; vmferry snapshot list warm >/dev/null || status=$?',
    '  case $status in 0) vmferry snapshot load warm ;; 4) make-it-warm ;; *) exit $status ;; esac',
    '      Status 4 if there is no such snapshot; with any other status this is unknown.',
    '  vmferry snapshot list --quiet | while IFS= read -r tag; do',
    '    vmferry snapshot verify -- "$tag" || exit',
    '  done',
    "  vmferry snapshot list --json | jq -r '.snapshots[].tag'",
  ],
);
