import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { deadFiles } from './dead-files.ts';
import { ROOT, sourceFile, sourceFilesBelow } from './source-file.ts';

const source = sourceFilesBelow('src');
const others = ['test', 'scripts', 'bench'].flatMap(sourceFilesBelow);

test('every file of src can be reached from src/main.ts', () => {
  expect(deadFiles(source, ['src/main.ts'])).toEqual([]);
});

test('every other file is a test or a bench, is run by a script of the project, or is used by one of these', () => {
  const runners = ['package.json', '.ci/run', 'vitest.config.ts'];
  const commands = runners.map((name) => readFileSync(join(ROOT, name), 'utf8')).join('\n');
  const isRun = (path: string) => /\.(test|bench)\.ts$/.test(path) || commands.includes(path);
  const roots = others.map(({ path }) => path).filter(isRun);
  expect(deadFiles(others, roots)).toEqual([]);
});

test('a file without an importer is dead, and so are files that only it imports', () => {
  const files = [
    sourceFile('src/main.ts', "import './app.ts';"),
    sourceFile('src/app.ts', ''),
    sourceFile('src/old.ts', "import './older.ts';"),
    sourceFile('src/older.ts', "import './old.ts';"),
  ];
  expect(deadFiles(files, ['src/main.ts'])).toEqual(['src/old.ts', 'src/older.ts']);
});

test('worker entries, type imports, re-exports and dynamic imports keep a file alive', () => {
  const files = [
    sourceFile('src/main.ts', "import type { A } from './a.ts'; export * from './b.ts'; await import('./c.ts');"),
    sourceFile('src/a.ts', ''),
    sourceFile('src/b.ts', "new Worker(new URL('./worker/main.ts', import.meta.url));"),
    sourceFile('src/c.ts', ''),
    sourceFile('src/worker/main.ts', ''),
  ];
  expect(deadFiles(files, ['src/main.ts'])).toEqual([]);
});
