// Rules for all source files that a reader can rely on.

import { dottedName, isNode, lineOf, type Node, type SourceFile, stringOf, walk } from './source-file.ts';

const TESTS = ['test', 'it', 'describe', 'suite'];
const WORDS_MIN = 3;

// Concatenated so that this file does not contain the words itself.
const POSTPONED = new RegExp(`\\b(${['TO', 'FIX'].map((head, i) => head + ['DO', 'ME'][i]).join('|')})\\b`);

export function anyFaults(files: readonly SourceFile[]): string[] {
  return nodeFaults(files, (node) => (node.type === 'TSAnyKeyword' ? 'uses the type any' : null));
}

export function postponedWorkFaults(files: readonly { path: string; text: string }[]): string[] {
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const word = POSTPONED.exec(line)?.[0];
      return word === undefined ? [] : [`${path}:${index + 1} says ${word}; open an issue instead.`];
    }),
  );
}

/** `test.only` and its like. A test that cannot run somewhere says so with `skipIf` or `context.skip`. */
export function switchedOffFaults(files: readonly SourceFile[]): string[] {
  return nodeFaults(files, (node) => {
    const [head = '', ...rest] = dottedName(node)?.split('.') ?? [];
    if (!TESTS.includes(head)) return null;
    const last = rest.at(-1) ?? '';
    return ['only', 'skip', 'todo', 'fails'].includes(last) ? `uses ${head}.${last}` : null;
  });
}

/** Only src/config.ts reads the environment, only src/main.ts ends the process. */
export function processFaults(files: readonly SourceFile[]): string[] {
  return nodeFaults(files, (node, { path }) => {
    const name = dottedName(node) ?? destructuredFromProcess(node);
    if (name === 'process.env' && path !== 'src/config.ts') return 'reads process.env';
    if (name === 'process.exit' && path !== 'src/main.ts') return 'calls process.exit';
    return null;
  });
}

/** Each file of `test/issues` and `test/soak/issues` that does not begin with a comment, which explains the repaired fault. */
export function missingMechanisms(files: readonly { path: string; text: string }[]): string[] {
  return files
    .filter(({ path }) => /^test\/(?:soak\/)?issues\/.*\.test\.ts$/.test(path))
    .filter(({ text }) => !/^\/[/*]/.test(text))
    .map(({ path }) => `${path} does not begin with a comment that explains the mechanism of the fault.`);
}

/** The name of a test is a sentence that states the tested behaviour. */
export function testNameFaults(files: readonly SourceFile[]): string[] {
  return nodeFaults(files, (node) => {
    const name = testName(node);
    if (name === null) return null;
    if (name.trim().split(/\s+/).length < WORDS_MIN) return `has a test named "${name}", which is no sentence`;
    return /^should\b/i.test(name) ? `has a test named "${name}"; say what holds, not what should` : null;
  });
}

function nodeFaults(files: readonly SourceFile[], faultOf: (node: Node, file: SourceFile) => string | null): string[] {
  return files.flatMap((file) => {
    const faults: string[] = [];
    walk(file.program, (node) => {
      const fault = faultOf(node, file);
      if (fault !== null) faults.push(`${file.path}:${lineOf(file, node.start)} ${fault}.`);
    });
    return faults;
  });
}

function destructuredFromProcess(node: Node): string | null {
  if (node.type === 'ImportSpecifier') return null;
  if (node.type === 'VariableDeclarator' && dottedName(node.init) === 'process' && isNode(node.id)) {
    return namedIn(node.id.properties, 'key');
  }
  const fromProcess = node.type === 'ImportDeclaration' && /^(node:)?process$/.test(stringOf(node.source) ?? '');
  return fromProcess ? namedIn(node.specifiers, 'imported') : null;
}

function namedIn(entries: unknown, member: string): string | null {
  if (!Array.isArray(entries)) return null;
  const names = entries.filter(isNode).map((entry) => dottedName(entry[member]));
  return ['env', 'exit'].filter((name) => names.includes(name)).map((name) => `process.${name}`)[0] ?? null;
}

/** The name given in `test('…')`, `test.skipIf(…)('…')` or `test.each(…)('…')`, if it can be read. */
function testName(node: Node): string | null {
  if (node.type !== 'CallExpression') return null;
  const callee = isNode(node.callee) && node.callee.type === 'CallExpression' ? node.callee.callee : node.callee;
  const [head = '', ...rest] = dottedName(callee)?.split('.') ?? [];
  if (head !== 'test' && head !== 'it') return null;
  if (callee === node.callee && rest.length > 0 && !['concurrent', 'sequential'].includes(rest[0]!)) return null;
  const [name] = node.arguments as unknown[];
  if (isNode(name) && name.type === 'TemplateLiteral') {
    return (name.quasis as { value: { cooked: string } }[]).map(({ value }) => value.cooked).join('…');
  }
  return stringOf(name);
}
