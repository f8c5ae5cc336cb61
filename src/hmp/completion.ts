import type { Domain } from '../commands/domain.ts';
import { wordsOf } from './arguments.ts';
import { findCommand, type MonitorCommand } from './command.ts';
import { Reader } from './reader.ts';

/** What the last word of a line may become, in order; a line that ends in white space has an empty last word. */
export function completions(table: readonly MonitorCommand[], domain: Domain, line: string): readonly string[] {
  const typed = wordsOf(new Reader(line));
  if (typed === null) return [];
  const { words, isLastDone } = typed;
  const finished = isLastDone ? words : words.slice(0, -1);
  const begun = isLastDone ? '' : (words.at(-1) ?? '');
  return candidates(table, domain, finished).filter((word) => word.startsWith(begun));
}

function candidates(table: readonly MonitorCommand[], domain: Domain, words: readonly string[]): readonly string[] {
  const [first, ...rest] = words;
  if (first === undefined) return namesOf(table);
  const command = findCommand(table, first);
  if (command === undefined) return [];
  if (command.names[0] === 'help') return helpWords(table, rest);
  if (command.subcommands === undefined) return argumentWords(command, domain, rest);
  const [second, ...more] = rest;
  if (second === undefined) return namesOf(command.subcommands);
  const subcommand = findCommand(command.subcommands, second);
  return subcommand === undefined ? [] : argumentWords(subcommand, domain, more);
}

function helpWords(table: readonly MonitorCommand[], words: readonly string[]): readonly string[] {
  if (words.length === 0) return namesOf(table);
  const subcommands = words.length === 1 ? findCommand(table, words[0] ?? '')?.subcommands : undefined;
  return namesOf(subcommands ?? []);
}

/** Flags first, those that were not given; they are offered only where nothing else has been. */
function argumentWords(command: MonitorCommand, domain: Domain, words: readonly string[]): readonly string[] {
  const flags = (command.flags ?? []).map(({ flag }) => `-${flag}`);
  const given = words.filter((word, index) => flags.includes(word) && index < flags.length);
  const parameter = command.parameters?.[words.length - given.length];
  const offered = words.length === given.length ? flags.filter((flag) => !given.includes(flag)) : [];
  return [...offered, ...(parameter?.words?.(domain, words) ?? [])];
}

function namesOf(commands: readonly MonitorCommand[]): readonly string[] {
  return commands.map(({ names }) => names[0]);
}
