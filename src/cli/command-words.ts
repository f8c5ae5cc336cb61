import type { Command, Option } from 'commander';
import { FLAGS } from '../config/flags.ts';
import type { CommandIo } from './command-io.ts';
import { JOB_VERBS } from './commands/jobs.ts';
import { isRecord } from './json-values.ts';
import { serviceToken, serviceUrl } from './option-values.ts';
import { ServiceClient } from './service-client.ts';

/*
 * Words of a command line. An option may precede the command it belongs to: `vmferry --url URL snapshot --timeout 5 save`.
 * Commander accepts an option only after its command, so `commandFirst` moves the names of commands to the front.
 * `placeOf` finds the place of the word that completion is asked for, and `candidates` gives the words that may stand there.
 */

/** The words with the names of the command and of its subcommand first. The other words keep their order. */
export function commandFirst(words: readonly string[], program: Command): readonly string[] {
  const at = namePlace(words, program);
  const command = at < 0 ? undefined : subcommand(program, words[at]);
  if (command === undefined) return words;
  return [words[at] ?? '', ...commandFirst(words.toSpliced(at, 1), command)];
}

/** Index of the first word that is neither an option nor the value of one, if it names a command; else -1. */
function namePlace(words: readonly string[], command: Command): number {
  const options = optionsWithin(command);
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? '';
    if (word === '--') return -1;
    if (!word.startsWith('-') || word === '-') return subcommand(command, word) === undefined ? -1 : at;
    const option = options.find(({ long, short }) => long === word || short === word);
    if (option?.required === true) at += 1;
  }
  return -1;
}

function subcommand(command: Command, name: string | undefined): Command | undefined {
  return command.commands.find((candidate) => candidate.name() === name);
}

/** Options of a command, its subcommands and its parents. */
export function optionsWithin(command: Command): readonly Option[] {
  const above: Option[] = [];
  for (let { parent } = command; parent !== null; { parent } = parent) above.push(...parent.options);
  return [...command.options, ...command.commands.flatMap(optionsWithin), ...above];
}

/** Place of a word in a command line. */
export type Place = {
  /** Names of the commands so far: `['snapshot', 'load']`. */
  readonly path: readonly string[];
  readonly command: Command;
  /** The typed part of the word. */
  readonly piece: string;
  /** Long name, without dashes, of the option to which the word is the value; null if the word is not a value. */
  readonly option: string | null;
  /** Arguments of the command before the word. */
  readonly given: readonly string[];
  /** Values of the options before the word, by their long names. */
  readonly values: ReadonlyMap<string, string>;
};

/** The place of the last word, which may be empty. `words` are the arguments of `vmferry`. */
export function placeOf(words: readonly string[], program: Command): Place {
  const path: string[] = [];
  const given: string[] = [];
  const values = new Map<string, string>();
  let command = program;
  let option: string | null = null;
  for (const word of words.slice(0, -1)) {
    if (option !== null) {
      values.set(option, word);
      option = null;
    } else if (given[0] === 'serve') given.push(word);
    else if (word.startsWith('-')) option = opened(word, command, values);
    else {
      const next = given.length === 0 ? command.commands.find((candidate) => candidate.name() === word) : undefined;
      if (next === undefined) given.push(word);
      else {
        command = next;
        path.push(word);
      }
    }
  }
  return { path, command, piece: words.at(-1) ?? '', option, given, values };
}

/** Long name of the option whose value is the next word; null if it needs no value, or has it after `=`. */
function opened(word: string, command: Command, values: Map<string, string>): string | null {
  const at = word.indexOf('=');
  const flag = at < 0 ? word : word.slice(0, at);
  const option = optionsWithin(command).find(({ long, short }) => long === flag || short === flag);
  if (option === undefined || !option.required) return null;
  if (at < 0) return nameOf(option);
  values.set(nameOf(option), word.slice(at + 1));
  return null;
}

/** Options of a command and its parents. */
export function optionsOf(command: Command): readonly Option[] {
  const above = command.parent === null ? [] : optionsOf(command.parent);
  return [...command.options, ...above];
}

function nameOf({ long, short }: Option): string {
  return (long ?? short ?? '').replace(/^-+/, '');
}

/** Time for an answer of the service, in milliseconds: a person waits for the completion. */
const ANSWER_MS_MAX = 1500;
const MONITOR_ANSWER_MS_MAX = 2000;

const TRANSPORTS = ['tcp:', 'unix:', 'file:', 'exec:', 'fd:'];
/** Commands that the client does not have. */
const OTHERS = ['serve', 'help'];

/**
 * Words for the given place of a command line that begin with the typed text. Names of the service come from the service.
 * For the value of an option there are none, so that the shell offers files.
 */
export async function candidates(place: Place, io: CommandIo): Promise<readonly string[]> {
  const found = place.option === null ? await wordsFor(place, io) : [];
  return found.filter((word) => word.startsWith(place.piece));
}

async function wordsFor(place: Place, io: CommandIo): Promise<readonly string[]> {
  const { command, given, piece, path } = place;
  if (path.length === 0 && given[0] === 'serve') return serveWords(place);
  if (piece.startsWith('-')) return [...flagsOf(place), '--help'];
  const commands = given.length === 0 ? command.commands.map((entry) => entry.name()) : [];
  const own = commands.filter((name) => !name.startsWith('_'));
  if (path.length === 0) return given.length === 0 ? [...own, ...OTHERS] : [];
  return [...own, ...(await argumentsFor(place, io))];
}

/** Flags of `serve`; after a flag, the possible words of its value. */
function serveWords({ given, piece }: Place): readonly string[] {
  const before = (given.at(-1) ?? '').replace(/^--/, '');
  const flag = Object.hasOwn(FLAGS, before) ? FLAGS[before as keyof typeof FLAGS] : null;
  if (given.at(-1)?.startsWith('--') && flag?.type === 'string') {
    return /^[a-z]+(?:\|[a-z]+)+$/.test(flag.form) ? flag.form.split('|') : addressWords(flag.form);
  }
  return piece.startsWith('-') ? Object.keys(FLAGS).map((name) => `--${name}`) : [];
}

/** Beginnings of the addresses that a flag accepts: `unix:`, `tcp:`, `defer`. */
function addressWords(form: string): readonly string[] {
  if (form === 'defer|URI') return ['defer', ...TRANSPORTS];
  return [...form.matchAll(/(?:^|\|)([a-z]+:)/g)].map(([, word = '']) => word);
}

function flagsOf({ command }: Place): string[] {
  return optionsOf(command).map(({ long, short }) => long ?? short ?? '');
}

/** Verbs of `snapshot` whose argument is the tag of an existing snapshot. */
const TAKES_TAG: readonly string[] = ['load', 'delete', 'list', 'verify'];

async function argumentsFor(place: Place, io: CommandIo): Promise<readonly string[]> {
  const [family = '', verb] = place.path;
  const { given } = place;
  const isFirst = given.length === 0;
  const choices = place.command.registeredArguments[given.length]?.argChoices;
  if (choices !== undefined) return choices;
  if (family === 'migrate' || family === 'incoming') return isFirst ? TRANSPORTS : [];
  if (family === 'workload') return ['rate=', 'span=', 'pattern='];
  if (family === 'show') return isFirst ? await names(place, io, '/migrations', 'id') : [];
  if (family === 'blockers' && verb === 'remove') {
    return isFirst ? await names(place, io, '/migrate/blockers', 'id') : [];
  }
  if (family === 'set') return (await names(place, io, '/migrate/parameters')).map((name) => `${name}=`);
  if (family === 'enable' || family === 'disable') {
    const all = await names(place, io, '/migrate/capabilities', 'capability');
    return all.filter((name) => !given.includes(name));
  }
  if (family === 'snapshot' && isFirst && verb !== undefined && TAKES_TAG.includes(verb)) {
    return await names(place, io, '/snapshots', 'tag');
  }
  const isJobVerb = verb === 'show' || (JOB_VERBS as readonly string[]).includes(verb ?? '');
  return family === 'jobs' && isFirst && isJobVerb ? await names(place, io, '/jobs', 'id') : [];
}

/** Without `member`: the names of the members of the answer. Else that member of each entry of its list. */
async function names(place: Place, io: CommandIo, path: string, member?: string): Promise<readonly string[]> {
  const { values } = place;
  const [given, file] = [values.get('url'), values.get('url-file')];
  const address = { ...(given === undefined ? {} : { url: given }), ...(file === undefined ? {} : { urlFile: file }) };
  const url = serviceUrl(address, io.environment);
  const token = serviceToken(values.get('token-file'), io.environment.token);
  const client = new ServiceClient({ url, token }, io.interrupt);
  const body = await client.ask({ method: 'GET', path, deadlineMs: ANSWER_MS_MAX });
  if (member === undefined) return isRecord(body) ? Object.keys(body) : [];
  const list = isRecord(body) ? Object.values(body).find(Array.isArray) : body;
  return Array.isArray(list) ? list.filter(isRecord).map((entry) => String(entry[member])) : [];
}

/**
 * Candidates for the last word of a line of the text monitor, as the service gives them, and the text that they replace.
 * Never rejects: without an answer there are no candidates.
 */
export async function completeLine(client: ServiceClient, line: string): Promise<[words: string[], piece: string]> {
  const piece = /\S*$/.exec(line)?.[0] ?? '';
  try {
    const path = `/hmp/completions?line=${encodeURIComponent(line)}`;
    const { completions } = await client.record({ method: 'GET', path, deadlineMs: MONITOR_ANSWER_MS_MAX });
    const words = Array.isArray(completions) ? completions.filter((word) => typeof word === 'string') : [];
    return [words.map((word) => `${word} `), piece];
  } catch {
    return [[], piece];
  }
}
