import type { Command, Option } from 'commander';

/*
 * Options may stand before the command that they are for: `vmferry --url URL snapshot --timeout 5 save`. Commander
 * reads an option where its command is known already, so the names of the commands are moved to the front.
 */

/** The words with the names of the command, and of the command within it, first; the others keep their order. */
export function commandFirst(words: readonly string[], program: Command): readonly string[] {
  const at = namePlace(words, program);
  const command = at < 0 ? undefined : subcommand(program, words[at]);
  if (command === undefined) return words;
  return [words[at] ?? '', ...commandFirst(words.toSpliced(at, 1), command)];
}

/** Where the first word stands that is neither an option nor the value of one, if it names a command; else -1. */
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

/** Options of a command, of those within it and of those above it. */
export function optionsWithin(command: Command): readonly Option[] {
  const above: Option[] = [];
  for (let { parent } = command; parent !== null; { parent } = parent) above.push(...parent.options);
  return [...command.options, ...command.commands.flatMap(optionsWithin), ...above];
}
