import type { Flag, MonitorCommand, Parameter, Values } from './command.ts';
import { LineError } from './line-error.ts';
import { quoted } from './printable.ts';
import { isSpace, type Reader } from './reader.ts';
import { exact } from './values/exact.ts';
import { readExpression } from './values/expression.ts';

/**
 * Reads what stands behind a command's name. `path` is the command as `help` knows it.
 * @throws LineError if something is missing, is of another kind, or is too much
 */
export function readArguments(reader: Reader, command: MonitorCommand, path: string): Values {
  const { flags = [], parameters = [] } = command;
  try {
    const given: Record<string, Values[string]> = {};
    for (const [index, flag] of flags.entries()) given[flag.name] = readFlag(reader, flag, flags.slice(index + 1));
    for (const parameter of parameters) given[parameter.name] = readParameter(reader, parameter);
    reader.skipSpace();
    if (!reader.isAtEnd) {
      throw new LineError(`Nothing more is expected where ${quoted(reader.text.slice(reader.at))} stands`);
    }
    return given;
  } catch (error) {
    if (!(error instanceof LineError)) throw error;
    throw new LineError(`${path}: ${error.message}`, path);
  }
}

/** A flag that may come later is left for its turn; one that may not come at all is refused. */
function readFlag(reader: Reader, { flag }: Flag, later: readonly Flag[]): boolean {
  reader.skipSpace();
  if (reader.peek() !== '-') return false;
  const given = reader.peek(1);
  if (given === flag) {
    reader.at += 2;
    return true;
  }
  if (later.some((other) => other.flag === given)) return false;
  throw new LineError(`There is no option ${quoted(`-${given}`)} here`);
}

function readParameter(reader: Reader, { name, type, isOptional }: Parameter): Values[string] {
  reader.skipSpace();
  if (isOptional === true && reader.isAtEnd) return undefined;
  if (type === 'integer') return exact(readExpression(reader));
  if (reader.isAtEnd) throw new LineError(`${name} is missing`);
  if (type === 'rest') return reader.rest();
  return type === 'switch' ? readSwitch(reader, name) : reader.string();
}

/** Of these two words neither another case nor a part is taken, and no quotes. */
function readSwitch(reader: Reader, name: string): boolean {
  const word = reader.word();
  if (word === 'on') return true;
  if (word === 'off') return false;
  throw new LineError(`${name} is ${quoted(word)}; it has to be on or off`);
}

/** The words of a line, and whether the last one is finished; null while a string is being typed. */
export function wordsOf(reader: Reader): { readonly words: readonly string[]; readonly isLastDone: boolean } | null {
  const words: string[] = [];
  for (;;) {
    reader.skipSpace();
    if (reader.isAtEnd) {
      const last = reader.text.at(-1) ?? ' ';
      return { words, isLastDone: words.length === 0 || isSpace(last) };
    }
    try {
      words.push(reader.string());
    } catch (error) {
      if (error instanceof LineError) return null;
      throw error;
    }
  }
}
