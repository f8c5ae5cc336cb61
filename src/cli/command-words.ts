import type { Command, Option } from 'commander';

/*
 * Words of a command line. An option may precede the command it belongs to: `vmferry --url URL snapshot --timeout 5 save`.
 * Commander accepts an option only after its command, so `commandFirst` moves the names of commands to the front.
 * `placeOf` finds the place of the word that completion is asked for.
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
  /** Long name, without dashes, of the option whose value the word is; null: it is no value. */
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
