import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missingDocuments } from './named-documents.ts';
import { ROOT, sourceTextsBelow } from './source-file.ts';

test('every document that a source file names exists', () => {
  const files = ['src', 'scripts', 'bench', 'test'].flatMap(sourceTextsBelow);
  const others = files.filter(({ path }) => !path.startsWith('test/tidy/named-documents'));
  expect(missingDocuments(others, (document) => existsSync(join(ROOT, document)))).toEqual([]);
});

test('a missing document is reported once per file, and a pattern of names is ignored', () => {
  const files = [
    { path: 'src/a.ts', text: '// docs/gone.md, docs/gone.md and docs/adr/0001-here.md' },
    { path: 'src/b.ts', text: '// docs/errors/CODE.md' },
  ];
  expect(missingDocuments(files, (document) => document === 'docs/adr/0001-here.md')).toEqual([
    'src/a.ts names docs/gone.md, which does not exist.',
  ]);
});
