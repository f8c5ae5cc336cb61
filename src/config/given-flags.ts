import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { nearest } from '../text/nearest.ts';
import { ConfigError, parseChoice, parseCount, readAssignments } from './flag-values.ts';
import { COMMAND_NAMES, FLAGS, type FlagName } from './flags.ts';

/* Flags of the command line and of the environment, with unchecked values. */

const SEE_HELP = '; see vmferry serve --help';
const ENVIRONMENT_PREFIX = 'VMFERRY_';
/** Variables of the client, which the service ignores. */
const CLIENT_VARIABLES: ReadonlySet<string> = new Set(['VMFERRY_URL', 'VMFERRY_TOKEN']);
/** Prefix of variables for tests that start QEMU. */
const FOREIGN_PREFIX = 'VMFERRY_TEST_';

/** Values of flags by their names, in the order of the command line. */
export type Given = ReadonlyMap<FlagName, readonly string[]>;

/**
 * Index of the command, or -1: the first word if it is no option; otherwise the first word that is the name of a command and not
 * the value of a flag. The client's options are not known here, so a word behind an option is skipped unless it is the name of a
 * command.
 */
export function commandIndex(argv: readonly string[]): number {
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-')) {
      if (at === 0 || COMMAND_NAMES.has(word)) return at;
      continue;
    }
    if (word === '--') return -1;
    const name = word.slice('--'.length) as FlagName;
    if (Object.hasOwn(FLAGS, name) && FLAGS[name].type === 'string') at += 1;
  }
  return -1;
}

/** Reads flags. @throws ConfigError for a flag that is unknown, lacks its value, or is given twice. */
export function readFlags(args: readonly string[]): Given {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { type }]) => [name, { type, multiple: true } as const]),
  );
  const given = new Map<FlagName, string[]>();
  for (const token of parseArgs({ args: [...args], options, strict: false, tokens: true }).tokens) {
    if (token.kind !== 'option') {
      throw new ConfigError(token.kind === 'positional' ? `unexpected argument "${token.value}"` : 'unexpected "--"');
    }
    const name = token.name as FlagName;
    if (!Object.hasOwn(FLAGS, name)) {
      const meant = nearest(token.rawName.replace(/^-+/, ''), Object.keys(FLAGS));
      throw new ConfigError(
        `unknown flag ${token.rawName}${meant === null ? '' : `; did you mean --${meant}?`}${SEE_HELP}`,
      );
    }
    const flag = FLAGS[name];
    const needsValue = flag.type === 'string';
    if (needsValue && token.value === undefined) throw new ConfigError(`--${name} needs a value: ${flag.form}`);
    if (!needsValue && token.value !== undefined) throw new ConfigError(`--${name} takes no value`);
    const before = given.get(name) ?? [];
    if (before.length > 0 && !flag.repeatable) throw new ConfigError(`--${name} is given twice`);
    given.set(name, [...before, token.value ?? 'true']);
  }
  return given;
}

/** Reads environment variables. @throws ConfigError for a variable with the prefix that is unknown. */
export function readEnvironment(environment: Readonly<Record<string, string | undefined>>): Given {
  const given = new Map<FlagName, string[]>();
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith(ENVIRONMENT_PREFIX) || variable.startsWith(FOREIGN_PREFIX) || value === undefined)
      continue;
    if (CLIENT_VARIABLES.has(variable) || isServiceLink(variable, value)) continue;
    const name = variable.slice(ENVIRONMENT_PREFIX.length).toLowerCase().replaceAll('_', '-') as FlagName;
    if (!Object.hasOwn(FLAGS, name)) {
      const meant = nearest(name, Object.keys(FLAGS));
      const hint = meant === null ? '' : `; did you mean ${variableOf(meant)}?`;
      throw new ConfigError(`unknown environment variable ${variable}${hint}${SEE_HELP}`);
    }
    const flag = FLAGS[name];
    if (flag.type === 'boolean') {
      if (parseChoice(variable, value, ['true', 'false']) === 'true') given.set(name, ['true']);
    } else given.set(name, flag.repeatable ? value.split(',').filter((part) => part !== '') : [value]);
  }
  return given;
}

function variableOf(flag: string): string {
  return `${ENVIRONMENT_PREFIX}${flag.toUpperCase().replaceAll('-', '_')}`;
}

/**
 * Variables that Kubernetes sets in every pod for a Service named `vmferry` or `vmferry-…`: `VMFERRY_SERVICE_HOST`,
 * `VMFERRY_SERVICE_PORT` and one for each named port, `VMFERRY_PORT`, and for each port `VMFERRY_PORT_8080_TCP` and three
 * more.
 */
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR))$/;
/** The remaining variables of Kubernetes have a URL as value, which no flag has. */
const SERVICE_LINK_URL = /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?=(?:tcp|udp|sctp):\/\//;

/** True for an environment variable that Kubernetes has set for a Service. */
export function isServiceLink(variable: string, value: string): boolean {
  return SERVICE_LINK.test(variable) || SERVICE_LINK_URL.test(`${variable}=${value}`);
}

/* Inherited file descriptors, which --fd names for fd: addresses. */

const OWN_DESCRIPTORS = '/proc/self/fd';
const DESCRIPTOR_MAX = 2 ** 20;
/** Descriptors 0, 1 and 2 are the standard streams. */
const DESCRIPTOR_MIN = 3;

/** The values of --fd. @throws ConfigError if a descriptor is not open. */
export function readDescriptors(list: readonly string[]): ReadonlyMap<string, number> {
  const texts = readAssignments('--fd', list);
  const range = { min: DESCRIPTOR_MIN, max: DESCRIPTOR_MAX };
  return new Map(
    [...texts].map(([name, text]) => {
      const descriptor = parseCount(`--fd ${name}=`, text, range);
      if (!isOpen(descriptor)) throw new ConfigError(`--fd ${name}=${descriptor}: no such descriptor is open`);
      return [name, descriptor];
    }),
  );
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks that each descriptor of --fd was inherited. It has to run before this program opens a descriptor, since an inherited
 * descriptor cannot be distinguished from a descriptor of the program afterwards.
 *
 * Descriptors that Node has opened for itself lie between the inherited ones. The flag close-on-exec does not distinguish them,
 * since Node sets it on low numbers of both kinds. Node's own descriptors are event queues, counters and devices, which are
 * neither sockets nor pipes; pipes with both ends in this process; and the channel to a parent that is a Node process.
 * @throws ConfigError
 */
export function claimDescriptors(descriptors: ReadonlyMap<string, number>): void {
  const names = new Map<number, string>();
  for (const [name, descriptor] of descriptors) {
    const flag = `--fd ${name}=${descriptor}`;
    const earlier = names.get(descriptor);
    if (earlier !== undefined) throw new ConfigError(`${flag}: --fd ${earlier} names this descriptor already`);
    names.set(descriptor, name);
    const fault = faultOf(descriptor);
    if (fault !== null) throw new ConfigError(`${flag}: ${fault}`);
  }
}

/** Reason why a descriptor cannot be used; null if it can. */
function faultOf(descriptor: number): string | null {
  const found = fstatSync(descriptor);
  if (!found.isSocket() && !found.isFIFO()) return 'it is neither a socket nor a pipe';
  if ((process.channel as { readonly fd?: number } | undefined)?.fd === descriptor)
    return "it is Node's own channel to its parent";
  if (found.isFIFO() && hasOtherEndHere(descriptor)) {
    return "both ends of this pipe are in this process: it is one of Node's own, or would never end";
  }
  return null;
}

/** True for an anonymous pipe whose other end is a descriptor of this process. */
function hasOtherEndHere(descriptor: number): boolean {
  const pipe = linkOf(String(descriptor));
  if (pipe === null || !pipe.startsWith('pipe:')) return false;
  const access = accessOf(String(descriptor));
  return readdirSync(OWN_DESCRIPTORS).some((other) => linkOf(other) === pipe && accessOf(other) !== access);
}

function linkOf(descriptor: string): string | null {
  try {
    return readlinkSync(`${OWN_DESCRIPTORS}/${descriptor}`);
  } catch {
    return null;
  }
}

/** Access mode of a descriptor (O_RDONLY, O_WRONLY or O_RDWR): the two lowest bits of its flags; null if not known. */
function accessOf(descriptor: string): number | null {
  try {
    const [, digit] = /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return digit === undefined ? null : Number(digit) & 3;
  } catch {
    return null;
  }
}
