import type { Command, Option } from 'commander';
import { optionsWithin } from './word-order.ts';

/* Where on a command line the word stands that is to be completed, by the tree of commands. */

export type Place = {
  /** Names of the commands so far: `['snapshot', 'load']`. */
  readonly path: readonly string[];
  readonly command: Command;
  /** The word as far as it was typed. */
  readonly piece: string;
  /** The option whose value it is, by its long name without dashes; null: it is no value. */
  readonly option: string | null;
  /** Arguments of the command that stand before it. */
  readonly given: readonly string[];
  /** Values of options before it, by their long names. */
  readonly values: ReadonlyMap<string, string>;
};

/** Takes the words behind `vmferry`; the last is the one to complete, and may be empty. */
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

/** The option whose value is the next word; null if there is none, or it is part of this word. */
function opened(word: string, command: Command, values: Map<string, string>): string | null {
  const at = word.indexOf('=');
  const flag = at < 0 ? word : word.slice(0, at);
  const option = optionsWithin(command).find(({ long, short }) => long === flag || short === flag);
  if (option === undefined || !option.required) return null;
  if (at < 0) return nameOf(option);
  values.set(nameOf(option), word.slice(at + 1));
  return null;
}

/** The options of a command and of those above it. */
export function optionsOf(command: Command): readonly Option[] {
  const above = command.parent === null ? [] : optionsOf(command.parent);
  return [...command.options, ...above];
}

function nameOf({ long, short }: Option): string {
  return (long ?? short ?? '').replace(/^-+/, '');
}
