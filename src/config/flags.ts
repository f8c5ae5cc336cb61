/* The flags: their names, forms and what they mean. */

type Flag = {
  readonly type: 'string' | 'boolean';
  readonly repeatable?: true;
  /** How its value is written. */
  readonly form: string;
  readonly help: string;
};

export const FLAGS = {
  http: {
    type: 'string',
    form: 'HOST:PORT',
    help: 'HTTP listener, on loopback unless there are tokens; port 0 picks a free one [127.0.0.1:8080]',
  },
  data: { type: 'string', form: 'DIR', help: 'database and files [./data]' },
  machine: { type: 'string', form: 'synthetic|image', help: 'kind of machine [synthetic]' },
  name: { type: 'string', form: 'NAME', help: 'name of the machine [vm0]' },
  uuid: { type: 'string', form: 'UUID', help: 'uuid of the machine [generated once and kept]' },
  ram: { type: 'string', form: 'SIZE', help: 'RAM of the synthetic guest, with k, M, G or T [256M]' },
  vcpus: { type: 'string', form: 'N', help: 'vCPUs of the synthetic guest [1]' },
  workload: {
    type: 'string',
    form: 'rate=,span=,pattern=,fill=,check=',
    help: 'what the synthetic guest does [rate=20M,span=64M,pattern=hot]',
  },
  'dirty-ring-size': {
    type: 'string',
    form: 'N',
    help: 'a dirty ring of N pages for each vCPU of the synthetic guest, 1024 to 65536 [0: none]',
  },
  paused: { type: 'boolean', form: '', help: 'start with the guest stopped' },
  'only-migratable': { type: 'boolean', form: '', help: 'take nothing that could forbid a migration' },
  'ram-prealloc': { type: 'boolean', form: '', help: 'take all memory for guest RAM at the start' },
  incoming: { type: 'string', form: 'defer|URI', help: 'start as the destination of a migration' },
  'keep-listening': {
    type: 'boolean',
    form: '',
    help: 'with --incoming: listen again after a migration that failed or was cancelled',
  },
  'file-root': { type: 'string', form: 'DIR', help: 'the only folder for file: addresses [DATA/files]' },
  'allow-exec': { type: 'boolean', form: '', help: 'permit exec: addresses' },
  fd: { type: 'string', repeatable: true, form: 'NAME=NUMBER', help: 'an inherited descriptor for fd: addresses' },
  set: { type: 'string', repeatable: true, form: 'NAME=VALUE', help: 'a migration parameter for this start' },
  enable: { type: 'string', repeatable: true, form: 'CAPABILITY', help: 'a capability to switch on for this start' },
  blockdev: {
    type: 'string',
    repeatable: true,
    form: 'NODE=FILE',
    help: 'a block device node and its qcow2 image [disk0=DATA/disk0.qcow2, made if missing]',
  },
  'log-level': {
    type: 'string',
    form: 'silent|error|warn|info|debug',
    help: 'what is logged, on standard error [warn]',
  },
  qmp: {
    type: 'string',
    repeatable: true,
    form: 'unix:PATH|tcp:HOST:PORT',
    help: 'a QMP socket, for its owner or on loopback',
  },
  'token-file': { type: 'string', form: 'FILE', help: 'bearer tokens: lines of TOKEN operator|viewer' },
  'allow-origin': {
    type: 'string',
    repeatable: true,
    form: 'ORIGIN',
    help: 'web pages of this origin may use the API, such as https://HOST; * needs tokens',
  },
  'url-file': {
    type: 'string',
    form: 'FILE',
    help: 'the address is written there once the service is ready, and the file is removed at the end',
  },
  'drain-timeout': {
    type: 'string',
    form: 'SECONDS',
    help: 'how long what runs may go on after SIGTERM before it is cancelled [10]',
  },
  'qemu-qmp': { type: 'string', form: 'unix:PATH', help: 'not available in this version' },
  help: { type: 'boolean', form: '', help: 'print this' },
  version: { type: 'boolean', form: '', help: 'print the version' },
} as const satisfies Readonly<Record<string, Flag>> as Readonly<Record<FlagName, Flag>>;

export type FlagName =
  | 'http'
  | 'data'
  | 'machine'
  | 'name'
  | 'uuid'
  | 'ram'
  | 'vcpus'
  | 'workload'
  | 'dirty-ring-size'
  | 'paused'
  | 'only-migratable'
  | 'ram-prealloc'
  | 'incoming'
  | 'keep-listening'
  | 'file-root'
  | 'allow-exec'
  | 'fd'
  | 'set'
  | 'enable'
  | 'log-level'
  | 'qmp'
  | 'blockdev'
  | 'token-file'
  | 'allow-origin'
  | 'url-file'
  | 'drain-timeout'
  | 'qemu-qmp'
  | 'help'
  | 'version';

/** Flags that are understood and refused: what they ask for is not there yet. This list will be empty one day. */
export const NOT_AVAILABLE: Partial<Record<FlagName, string>> = {
  'qemu-qmp': 'there is no qemu machine yet',
};

const FLAG_COLUMN_WIDTH = 48;
const COMMAND_COLUMN_WIDTH = 26;

/** Commands for a running service, as --help lists them: how each is written, and what it does. */
const COMMANDS: readonly (readonly [form: string, does: string])[] = [
  ['status [--watch]', 'how the machine is, and its migration'],
  ['wait [--pid PID]', 'until the service is ready'],
  ['stop', 'stop the guest'],
  ['cont', 'let it go on'],
  ['console', 'what the guest has written'],
  ['workload [NAME=VALUE …]', 'change what the synthetic guest does, or print it'],
  ['migrate URI [--wait]', 'move the machine, or save it into a file'],
  ['incoming URI|--end', 'let a machine that was started for it await a migration, or no more'],
  ['continue', 'let a migration go on that pauses before its switchover'],
  ['cancel', 'cancel the migration that runs'],
  ['history', 'every migration that was ever made here'],
  ['show ID', 'one of them, with its passes'],
  ['set [NAME=VALUE …]', 'change migration parameters, or print them'],
  ['enable [CAP …]', 'switch migration capabilities on, or print them'],
  ['disable [CAP …]', 'switch them off'],
  ['blockers', 'what forbids a migration; blockers add REASON, blockers remove ID'],
  ['dirty-rate', 'measure how fast the guest writes to its memory'],
  ['snapshot save [TAG]', 'keep the machine as it is now'],
  ['snapshot load TAG', 'take it back there'],
  ['snapshot list [TAG]', 'the snapshots there are'],
  ['snapshot verify TAG', 'compare a snapshot with its digests'],
  ['snapshot delete TAG', 'remove it'],
  ['jobs [--history]', 'what runs and what ended; jobs cancel ID and other verbs'],
  ['events [--since N]', 'what happens, as it happens'],
  ['audit', 'who changed what'],
  ['monitor', 'the text monitor (HMP), at a prompt or from standard input'],
  ['qmp JSON', 'one QMP command and its answer'],
];

/** Commands that ask no service. */
const OTHER_COMMANDS: typeof COMMANDS = [
  ['completion bash|zsh|fish', 'what makes a shell complete these commands'],
  ['version', 'this version, and that of the service if one answers'],
];

/** First words of all commands. */
export const COMMAND_NAMES: ReadonlySet<string> = new Set([
  ...[...COMMANDS, ...OTHER_COMMANDS].flatMap(([form]) => /^[\w-]+/.exec(form)?.[0] ?? []),
  'serve',
  'help',
]);

/** What --help prints without a command. */
export function overview(): string {
  const lines = (commands: typeof COMMANDS): string[] =>
    commands.map(([form, does]) => `  ${form.padEnd(COMMAND_COLUMN_WIDTH)} ${does}`);
  return [
    'vmferry COMMAND …: live migration and snapshots of a virtual machine',
    '',
    'The service:',
    ...lines([['serve [FLAGS]', 'run it: one machine, over HTTP']]),
    '',
    'Commands for a running service:',
    ...lines(COMMANDS),
    '',
    'Besides:',
    ...lines(OTHER_COMMANDS),
    '  --help | --version',
    '',
    'Each has a --help of its own. Options may stand before the command too; flags without a command are for serve.',
    'VMFERRY_URL names the service that is asked.',
    '',
  ].join('\n');
}

/** What serve --help prints. */
export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, { form, repeatable, help }]) => {
    const flag = `  --${name}${form === '' ? '' : ` ${form}`}${repeatable ? ' …' : ''}`;
    return `${flag.padEnd(FLAG_COLUMN_WIDTH)}  ${help}`;
  });
  return [
    'vmferry serve FLAGS: live migration of one machine, over HTTP',
    '',
    ...lines,
    '',
    'Each flag is also an environment variable (--file-root: VMFERRY_FILE_ROOT); those marked … take a list there,',
    'separated by commas. A flag goes before its variable.',
    '',
  ].join('\n');
}
