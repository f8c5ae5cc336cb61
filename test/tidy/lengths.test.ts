import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fileLengthFaults, functionLengthFaults } from './lengths.ts';
import { ROOT, sourceFile, sourceFilesBelow } from './source-file.ts';

const files = ['src', 'test', 'scripts', 'bench'].flatMap(sourceFilesBelow);

/** Kernels are AssemblyScript, which the syntax checks cannot read. */
function kernelFiles(): { path: string; text: string }[] {
  const folder = 'kernels/assembly';
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ path: `${folder}/${name}`, text: readFileSync(join(ROOT, folder, name), 'utf8') }));
}

test('no file exceeds its maximum length', () => {
  expect(fileLengthFaults([...files, ...kernelFiles()])).toEqual([]);
});

test('no function exceeds its maximum length', () => {
  expect(functionLengthFaults(files)).toEqual([]);
});

test('a source file of 301 lines is too long, and one of 300 is not', () => {
  expect(fileLengthFaults([{ path: 'src/a.ts', text: 'x;\n'.repeat(300) }])).toEqual([]);
  expect(fileLengthFaults([{ path: 'src/a.ts', text: 'x;\n'.repeat(301) }])).toEqual([
    'src/a.ts has 301 lines, 300 are allowed.',
  ]);
});

test('a test file may have 500 lines', () => {
  expect(fileLengthFaults([{ path: 'test/a.test.ts', text: 'x;\n'.repeat(500) }])).toEqual([]);
  expect(fileLengthFaults([{ path: 'test/a.test.ts', text: 'x;\n'.repeat(501) }])).toHaveLength(1);
});

test.each([
  ['a function', 'function f() {', '}'],
  ['an arrow function', 'const f = () => {', '};'],
  ['a method', 'class C { m() {', '} }'],
  ['the body of a test', "describe('a', () => { test('b', () => {", '}); });'],
])('%s of 61 lines is too long, and one of 60 is not', (_what, head, tail) => {
  const faultsOf = (lines: number) => {
    const text = `\n${head}\n${'x;\n'.repeat(lines - 2)}${tail}\n`;
    return functionLengthFaults([sourceFile('src/a.ts', text)]);
  };
  expect(faultsOf(60)).toEqual([]);
  expect(faultsOf(61)).toEqual(['src/a.ts:2 has a function of 61 lines, 60 are allowed.']);
});

test('the callback of a describe is not measured', () => {
  for (const head of ['describe', 'describe.skipIf(true)', 'describeWithQemu']) {
    const text = `${head}('a', () => {\n${'x;\n'.repeat(80)}});`;
    expect(functionLengthFaults([sourceFile('test/a.test.ts', text)])).toEqual([]);
  }
});
