import type { ServiceClient } from './client.ts';
import { isRecord } from './exact-json.ts';

/* Completion of monitor lines: names of commands as help tells them, names of settings and tags as the service has them. */

const COMPLETION_MS_MAX = 2000;

/** What a line may be made of. */
export type Vocabulary = {
  readonly commands: readonly string[];
  readonly topics: readonly string[];
  readonly parameters: readonly string[];
  readonly capabilities: readonly string[];
  readonly tags: readonly string[];
};

/** The words that may stand where the line ends, and the piece of the line that they replace. */
export function completions(line: string, vocabulary: Vocabulary): [words: string[], piece: string] {
  const words = line.trimStart().split(/\s+/);
  const piece = words.at(-1) ?? '';
  const found = candidates(words.slice(0, -1), vocabulary).filter((word) => word.startsWith(piece));
  return [found.map((word) => `${word} `), piece];
}

function candidates(before: readonly string[], vocabulary: Vocabulary): readonly string[] {
  const { commands, topics, parameters, capabilities, tags } = vocabulary;
  const [command, ...others] = before;
  if (command === undefined) return commands;
  const atArgument = others.length;
  if (command === 'migrate_set_capability') return [capabilities, ['on', 'off']][atArgument] ?? [];
  if (atArgument > 0) return command === 'help' && others[0] === 'info' && atArgument === 1 ? topics : [];
  if (command === 'help' || command === '?') return commands;
  if (command === 'info') return topics;
  if (command === 'migrate_set_parameter') return parameters;
  return command === 'loadvm' || command === 'delvm' ? tags : [];
}

/** Names of commands, and of what `info` tells, from the lines `NAME ARGUMENTS -- TEXT` of help. */
export function namesInHelp(text: string): { readonly commands: string[]; readonly topics: string[] } {
  const commands = new Set<string>();
  const topics = new Set<string>();
  for (const line of text.split('\n')) {
    const [, names = '', topic] = /^([a-z_?][\w?|-]*)(?: +([a-z_][\w-]*))?/.exec(line) ?? [];
    if (names === 'info' && topic !== undefined) topics.add(topic);
    for (const name of names.split('|')) if (name !== '') commands.add(name);
  }
  return { commands: [...commands], topics: [...topics] };
}

/** Asks the service for what it needs, once where it does not change. */
export class MonitorCompleter {
  readonly #client: ServiceClient;
  readonly #help: (line: string) => Promise<string>;
  #fixed: Promise<Omit<Vocabulary, 'tags'>> | null = null;

  constructor(client: ServiceClient, help: (line: string) => Promise<string>) {
    this.#client = client;
    this.#help = help;
  }

  /** Never rejects: where the service does not answer there is nothing to offer. */
  async complete(line: string): Promise<[string[], string]> {
    try {
      this.#fixed ??= this.#ask();
      const needsTags = /^\s*(?:load|del)vm\s/.test(line);
      const tags = needsTags ? await this.#list('/snapshots', 'snapshots', 'tag') : [];
      return completions(line, { ...(await this.#fixed), tags });
    } catch {
      this.#fixed = null;
      return [[], line];
    }
  }

  async #ask(): Promise<Omit<Vocabulary, 'tags'>> {
    const [help, infoHelp, parameters, capabilities] = await Promise.all([
      this.#help('help'),
      this.#help('help info'),
      this.#client.record({ method: 'GET', path: '/migrate/parameters', deadlineMs: COMPLETION_MS_MAX }),
      this.#list('/migrate/capabilities', null, 'capability'),
    ]);
    const [all, info] = [namesInHelp(help), namesInHelp(infoHelp)];
    const commands = [...new Set([...all.commands, 'quit'])].sort();
    const topics = [...new Set([...all.topics, ...info.topics])].sort();
    return { commands, topics, parameters: Object.keys(parameters), capabilities };
  }

  /** One member of each entry of a list; the list is the answer itself, or a member of it. */
  async #list(path: string, list: string | null, member: string): Promise<string[]> {
    const body = await this.#client.ask({ method: 'GET', path, deadlineMs: COMPLETION_MS_MAX });
    const entries = list !== null && isRecord(body) ? body[list] : body;
    return Array.isArray(entries) ? entries.filter(isRecord).map((entry) => String(entry[member])) : [];
  }
}
