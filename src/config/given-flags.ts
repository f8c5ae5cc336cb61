import { parseArgs } from 'node:util';
import { nearest } from '../text/nearest.ts';
import { ConfigError, parseChoice } from './flag-values.ts';
import { COMMAND_NAMES, FLAGS, type FlagName } from './flags.ts';
import { isServiceLink } from './service-links.ts';

/* What was given on the command line and in the environment, before any value is looked at. */

const SEE_HELP = '; see vmferry serve --help';
const ENVIRONMENT_PREFIX = 'VMFERRY_';
/** For the client; a service that finds them leaves them alone. */
const CLIENT_VARIABLES: ReadonlySet<string> = new Set(['VMFERRY_URL', 'VMFERRY_TOKEN']);
/** Set for tests that start QEMU; not ours. */
const FOREIGN_PREFIX = 'VMFERRY_TEST_';

/** Values of flags by their names, each as often as it was given. */
export type Given = ReadonlyMap<FlagName, readonly string[]>;

/**
 * Where the command stands: the first word, or, behind options, the first name of a command that is no value of a flag;
 * -1 if there is none. Which options of the client have a value is not known here, so any word behind one of them may be
 * its value.
 */
export function commandPlace(argv: readonly string[]): number {
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

/** @throws ConfigError for a flag that there is not, that lacks its value, or that is given twice. */
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

/** @throws ConfigError for a variable that begins with the prefix and is none of the service's. */
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
