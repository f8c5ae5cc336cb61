import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FEATURES } from '../../scripts/test-table/features.ts';
import { testFiles } from '../../scripts/test-table/files.ts';
import { testTable, withTable } from '../../scripts/test-table/table.ts';
import { ROOT } from './source-file.ts';

// Not written as one text, because the table would list it as a scenario of this file.
const SCENARIO = ['', 'migration', 'cancel', 'src'].join('/');
const MADE_UP = [{ name: 'Cancel', files: ['domain/cancel-*', 'soak/'] }];

test('docs/testing.md has the table that npm run build:test-table writes', () => {
  const page = readFileSync(join(ROOT, 'docs/testing.md'), 'utf8');
  expect(withTable(page, testTable(testFiles(), FEATURES)), 'run npm run build:test-table').toBe(page);
});

test('every pattern of a feature names at least one test file', () => {
  const all = testFiles().map(({ path }) => ({ path, text: '' }));
  const unused = FEATURES.flatMap(({ files }) => files).filter((pattern) => {
    const features = [
      { name: 'named', files: [pattern] },
      { name: 'all others', files: ['*'] },
    ];
    return !testTable(all, features).includes('| named |');
  });
  expect(unused).toEqual([]);
});

test('a row has the files of a feature by folder and the QEMU scenarios of their comments', () => {
  const files = [
    { path: 'test/domain/cancel-a.test.ts', text: `// QEMU scenario: ${SCENARIO}` },
    { path: 'test/domain/cancel-b.test.ts', text: "import '../../src/domain/migration/migration-use-cases.ts';" },
    { path: 'test/soak/orders.test.ts', text: '' },
  ];
  expect(testTable(files, MADE_UP).split('\n').at(-1)).toBe(
    `| Cancel | \`test/domain/\`: cancel-a, cancel-b · \`test/soak/\`: orders | \`${SCENARIO}\` |`,
  );
});

test('a test file without a feature is refused by name', () => {
  expect(() => testTable([{ path: 'test/new.test.ts', text: '' }], MADE_UP)).toThrow(
    'test/new.test.ts: name a feature',
  );
});

test('a page without the marks of the table is refused', () => {
  expect(() => withTable('# Testing\n', '')).toThrow('no marks');
});
