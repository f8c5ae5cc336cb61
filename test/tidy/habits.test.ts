import { expect, test } from 'vitest';
import {
  anyFaults,
  missingMechanisms,
  postponedWorkFaults,
  processFaults,
  switchedOffFaults,
  testNameFaults,
} from './habits.ts';
import { sourceFile, sourceFilesBelow } from './source-file.ts';

const source = sourceFilesBelow('src');
const tests = sourceFilesBelow('test');
const files = [...source, ...tests, ...['scripts', 'bench'].flatMap(sourceFilesBelow)];

test('no file uses the type any', () => {
  expect(anyFaults(files)).toEqual([]);
});

test('no file contains a comment about postponed work', () => {
  expect(postponedWorkFaults(files)).toEqual([]);
});

test('no test is skipped and none runs alone', () => {
  expect(switchedOffFaults(tests.filter(({ path }) => path.endsWith('.test.ts')))).toEqual([]);
});

test('only the configuration reads the environment and only main ends the process', () => {
  expect(processFaults(source)).toEqual([]);
});

test('the name of every test is a sentence', () => {
  expect(testNameFaults(tests)).toEqual([]);
});

test('every test of a repaired fault begins with the mechanism of the fault', () => {
  expect(missingMechanisms(tests)).toEqual([]);
});

test('a test of a repaired fault without a comment at its head is found', () => {
  const text = "import { test } from 'vitest';\n// later\n";
  const files = ['test/issues/1-a.test.ts', 'test/soak/issues/1-b.test.ts', 'test/issues/rig.ts', 'test/a.test.ts'];
  expect(missingMechanisms(files.map((path) => ({ path, text })))).toEqual([
    'test/issues/1-a.test.ts does not begin with a comment that explains the mechanism of the fault.',
    'test/soak/issues/1-b.test.ts does not begin with a comment that explains the mechanism of the fault.',
  ]);
  expect(missingMechanisms([{ path: 'test/issues/1-a.test.ts', text: `/* A fault. */\n${text}` }])).toEqual([]);
});

test('the type any is found at every place of a type', () => {
  const faultsOf = (text: string) => anyFaults([sourceFile('src/a.ts', text)]);
  expect(faultsOf('const any = 1;\n// any\nlet a: string = "any";')).toEqual([]);
  expect(faultsOf('let a: string;\nlet b: Map<string, any>;')).toEqual(['src/a.ts:2 uses the type any.']);
  expect(faultsOf('const b = 1 as any;')).toHaveLength(1);
});

test.each(['TO', 'FIX'])('a comment that starts with %s and its ending is found', (head) => {
  const word = head === 'TO' ? `${head}DO` : `${head}ME`;
  expect(postponedWorkFaults([{ path: 'src/a.ts', text: `x;\n// ${word}: later\n` }])).toHaveLength(1);
  expect(postponedWorkFaults([{ path: 'src/a.ts', text: `x;\n// ${word}S in general\n` }])).toEqual([]);
});

test.each([
  "test.only('a b c', f);",
  "it.skip('a b c', f);",
  "describe.todo('a b c');",
  "test.concurrent.only('a b c', f);",
  "describe.only.each([1])('a %s c', f);",
])('%s is found', (text) => {
  expect(switchedOffFaults([sourceFile('test/a.test.ts', text)])).toHaveLength(1);
});

test('a condition for skipping is allowed', () => {
  const text = "test.skipIf(x)('a b c', f); test('a b c', (context) => context.skip('no QEMU here'));";
  expect(switchedOffFaults([sourceFile('test/a.test.ts', text)])).toEqual([]);
});

test.each([
  'const a = process.env.HOME;',
  "const a = process['env'];",
  'const { env } = process;',
  "import { env } from 'node:process';",
  'process.exit(1);',
  "import { exit } from 'node:process';",
])('%s is found outside the one allowed file', (text) => {
  expect(processFaults([sourceFile('src/a.ts', text)])).toHaveLength(1);
});

test('config may read the environment and main may end the process, not the other way round', () => {
  const env = 'const a = process.env;';
  const exit = 'process.exit(2);';
  expect(processFaults([sourceFile('src/config.ts', env), sourceFile('src/main.ts', exit)])).toEqual([]);
  expect(processFaults([sourceFile('src/config.ts', exit), sourceFile('src/main.ts', env)])).toHaveLength(2);
  expect(processFaults([sourceFile('src/cli/main.ts', 'process.exitCode = 1;')])).toEqual([]);
});

test('a name of one or two words, or one that begins with should, is no sentence', () => {
  const faultsOf = (text: string) => testNameFaults([sourceFile('test/a.test.ts', text)]);
  expect(faultsOf("test('encode', f);")).toHaveLength(1);
  expect(faultsOf("it.each([1])('round trip', f);")).toHaveLength(1);
  expect(faultsOf("test('should encode a header', f);")).toHaveLength(1);
  expect(faultsOf("test('a header survives a round trip', f); /x/.test('encode');")).toEqual([]);
  expect(faultsOf('test(`a page of $' + '{size} survives`, f);')).toEqual([]);
});
