import { FLAGS } from '../config/flags.ts';
import { optionsOf, type Place } from './command-words.ts';
import { JOB_VERBS } from './commands/jobs.ts';
import { isRecord } from './json-values.ts';
import { serviceToken, serviceUrl } from './option-values.ts';
import { ServiceClient } from './service-client.ts';
import type { World } from './world.ts';

/* Candidates for completion: words of a command line, and words of a line of the text monitor. */

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
export async function candidates(place: Place, world: World): Promise<readonly string[]> {
  const found = place.option === null ? await wordsFor(place, world) : [];
  return found.filter((word) => word.startsWith(place.piece));
}

async function wordsFor(place: Place, world: World): Promise<readonly string[]> {
  const { command, given, piece, path } = place;
  if (path.length === 0 && given[0] === 'serve') return serveWords(place);
  if (piece.startsWith('-')) return [...flagsOf(place), '--help'];
  const commands = given.length === 0 ? command.commands.map((entry) => entry.name()) : [];
  const own = commands.filter((name) => !name.startsWith('_'));
  if (path.length === 0) return given.length === 0 ? [...own, ...OTHERS] : [];
  return [...own, ...(await argumentsFor(place, world))];
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

async function argumentsFor(place: Place, world: World): Promise<readonly string[]> {
  const [family = '', verb] = place.path;
  const { given } = place;
  const isFirst = given.length === 0;
  const choices = place.command.registeredArguments[given.length]?.argChoices;
  if (choices !== undefined) return choices;
  if (family === 'migrate' || family === 'incoming') return isFirst ? TRANSPORTS : [];
  if (family === 'workload') return ['rate=', 'span=', 'pattern='];
  if (family === 'show') return isFirst ? await names(place, world, '/migrations', 'id') : [];
  if (family === 'blockers' && verb === 'remove') {
    return isFirst ? await names(place, world, '/migrate/blockers', 'id') : [];
  }
  if (family === 'set') return (await names(place, world, '/migrate/parameters')).map((name) => `${name}=`);
  if (family === 'enable' || family === 'disable') {
    const all = await names(place, world, '/migrate/capabilities', 'capability');
    return all.filter((name) => !given.includes(name));
  }
  if (family === 'snapshot' && isFirst && verb !== undefined && TAKES_TAG.includes(verb)) {
    return await names(place, world, '/snapshots', 'tag');
  }
  const isJobVerb = verb === 'show' || (JOB_VERBS as readonly string[]).includes(verb ?? '');
  return family === 'jobs' && isFirst && isJobVerb ? await names(place, world, '/jobs', 'id') : [];
}

/** Without `member`: the names of the members of the answer. Else that member of each entry of its list. */
async function names(place: Place, world: World, path: string, member?: string): Promise<readonly string[]> {
  const { values } = place;
  const [given, file] = [values.get('url'), values.get('url-file')];
  const address = { ...(given === undefined ? {} : { url: given }), ...(file === undefined ? {} : { urlFile: file }) };
  const url = serviceUrl(address, world.environment);
  const token = serviceToken(values.get('token-file'), world.environment.token);
  const client = new ServiceClient({ url, token }, world.interrupt);
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
