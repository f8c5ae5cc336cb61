/* The flags of the service, the overview of all commands, and the texts of --help for both. */

type Flag = {
  readonly type: 'string' | 'boolean';
  readonly repeatable?: true;
  /** Form of the value; empty for a flag without a value. */
  readonly form: string;
  readonly help: string;
};

export const FLAGS = {
  http: {
    type: 'string',
    form: 'HOST:PORT',
    help: 'HTTP listener, on loopback unless there are tokens; port 0: a free port [127.0.0.1:8080]',
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
    help: 'workload of the synthetic guest [rate=20M,span=64M,pattern=hot]',
  },
  'dirty-ring-size': {
    type: 'string',
    form: 'N',
    help: 'a dirty ring of N pages for each vCPU of the synthetic guest, 1024 to 65536 [0: none]',
  },
  paused: { type: 'boolean', form: '', help: 'start with the guest stopped' },
  'only-migratable': { type: 'boolean', form: '', help: 'refuse everything that could forbid a migration' },
  'ram-prealloc': { type: 'boolean', form: '', help: 'allocate all guest RAM at the start' },
  incoming: { type: 'string', form: 'defer|URI', help: 'start as the target of a migration' },
  'keep-listening': {
    type: 'boolean',
    form: '',
    help: 'with --incoming: listen again after a migration that failed or was cancelled',
  },
  'file-root': { type: 'string', form: 'DIR', help: 'the only folder for file: addresses [DATA/files]' },
  'allow-exec': { type: 'boolean', form: '', help: 'permit exec: addresses' },
  fd: { type: 'string', repeatable: true, form: 'NAME=NUMBER', help: 'an inherited descriptor for fd: addresses' },
  set: { type: 'string', repeatable: true, form: 'NAME=VALUE', help: 'a migration parameter for this run' },
  enable: { type: 'string', repeatable: true, form: 'CAPABILITY', help: 'a capability to switch on for this run' },
  blockdev: {
    type: 'string',
    repeatable: true,
    form: 'NODE=FILE',
    help: 'a block device node and its qcow2 image [disk0=DATA/disk0.qcow2, created if missing]',
  },
  'log-level': {
    type: 'string',
    form: 'silent|error|warn|info|debug',
    help: 'least severe level that is logged, on standard error [warn]',
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
    help: 'allow web pages of this origin to use the API, such as https://HOST; * needs tokens',
  },
  'url-file': {
    type: 'string',
    form: 'FILE',
    help: 'file for the address: written when the service is ready, removed at the end',
  },
  'drain-timeout': {
    type: 'string',
    form: 'SECONDS',
    help: 'how long migrations and jobs may continue after SIGTERM before they are cancelled [10]',
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

/** Flags that are known and refused, with the reason: their feature does not exist yet. */
export const NOT_AVAILABLE: Partial<Record<FlagName, string>> = {
  'qemu-qmp': 'there is no qemu machine yet',
};

const FLAG_COLUMN_WIDTH = 48;
const COMMAND_COLUMN_WIDTH = 26;

/** Commands for a running service, as --help lists them. */
const COMMANDS: readonly (readonly [form: string, description: string])[] = [
  ['status [--watch]', 'state of the machine and of its migration'],
  ['wait [--pid PID]', 'wait until the service is ready'],
  ['stop', 'stop the guest'],
  ['cont', 'resume the guest'],
  ['console', 'text that the guest has written to its console'],
  ['workload [NAME=VALUE …]', 'change or print the workload of the synthetic guest'],
  ['migrate URI [--wait]', 'migrate the machine, or save it to a file'],
  ['incoming URI|--end', 'listen for a migration (after serve --incoming defer), or stop listening'],
  ['continue', 'continue a migration that is paused before its switchover'],
  ['cancel', 'cancel the running migration'],
  ['history', 'past migrations of this service'],
  ['show ID', 'one migration with its passes'],
  ['set [NAME=VALUE …]', 'change or print migration parameters'],
  ['enable [CAP …]', 'switch migration capabilities on, or print them'],
  ['disable [CAP …]', 'switch migration capabilities off'],
  ['blockers', 'reasons that forbid a migration; blockers add REASON, blockers remove ID'],
  ['dirty-rate', 'measure how fast the guest writes to its memory'],
  ['snapshot save [TAG]', 'save the current state of the machine'],
  ['snapshot load TAG', 'restore the machine from a snapshot'],
  ['snapshot list [TAG]', 'print snapshots'],
  ['snapshot verify TAG', 'compare a snapshot with its digests'],
  ['snapshot delete TAG', 'delete a snapshot'],
  ['snapshot compact', 'shorten image files to the space that they use'],
  ['jobs [--history]', 'current and past jobs; jobs cancel ID and other verbs'],
  ['events [--since N]', 'events as they happen'],
  ['audit', 'audit log: which client changed what'],
  ['monitor', 'the text monitor (HMP), at a prompt or from standard input'],
  ['qmp JSON', 'send one QMP command and print its answer'],
];

/** Commands that need no service. */
const OTHER_COMMANDS: typeof COMMANDS = [
  ['completion bash|zsh|fish', 'script for the completion of these commands'],
  ['version', 'version of this program, and of the service if it answers'],
];

/** Names of all commands. */
export const COMMAND_NAMES: ReadonlySet<string> = new Set([
  ...[...COMMANDS, ...OTHER_COMMANDS].flatMap(([form]) => /^[\w-]+/.exec(form)?.[0] ?? []),
  'serve',
  'help',
]);

/** Text of --help without a command. */
export function overview(): string {
  const lines = (commands: typeof COMMANDS): string[] =>
    commands.map(([form, description]) => `  ${form.padEnd(COMMAND_COLUMN_WIDTH)} ${description}`);
  return [
    'vmferry COMMAND …: live migration and snapshots of a virtual machine',
    '',
    'The service:',
    ...lines([['serve [FLAGS]', 'run the service: one machine, controlled over HTTP']]),
    '',
    'Commands for a running service:',
    ...lines(COMMANDS),
    '',
    'Other:',
    ...lines(OTHER_COMMANDS),
    '  --help | --version',
    '',
    'Each command has a --help. Options may precede the command; flags without a command are for serve.',
    'VMFERRY_URL is the address of the service.',
    '',
  ].join('\n');
}

/** Text of serve --help. */
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
    'Each flag is also an environment variable (--file-root: VMFERRY_FILE_ROOT). A flag marked … may be repeated; its',
    'variable holds a list, separated by commas. A flag has precedence over its variable.',
    '',
  ].join('\n');
}
