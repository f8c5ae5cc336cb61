import { expect, test } from 'vitest';
import { importCircles } from './circles.ts';
import { sourceFile, sourceFilesBelow } from './source-file.ts';

test('no files in src import each other in a circle, type imports included', () => {
  expect(importCircles(sourceFilesBelow('src'))).toEqual([]);
});

test('a circle of type imports is found with all of its files, and without files that only lead to it', () => {
  const files = [
    sourceFile('src/a.ts', "import type { B } from './b.ts';"),
    sourceFile('src/b.ts', "export { C } from './c.ts';"),
    sourceFile('src/c.ts', "type A = import('./a.ts').A;"),
    sourceFile('src/d.ts', "import { A } from './a.ts';"),
  ];
  expect(importCircles(files)).toEqual([['src/a.ts', 'src/b.ts', 'src/c.ts']]);
});

test('two circles are distinguished, and a file that imports itself is one', () => {
  const files = [
    sourceFile('src/x.ts', "import { Y } from './y.ts'; import { Z } from './z.ts';"),
    sourceFile('src/y.ts', "import { X } from './x.ts';"),
    sourceFile('src/z.ts', "import { Z } from './z.ts';"),
  ];
  expect(importCircles(files)).toEqual([['src/x.ts', 'src/y.ts'], ['src/z.ts']]);
});
