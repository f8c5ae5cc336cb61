import { expect, test } from 'vitest';
import { fileNameFaults } from './file-names.ts';
import { sourceFilesBelow, sourceTextsBelow } from './source-file.ts';

test('no two files in src have the same name, except those of one family', () => {
  expect(fileNameFaults(sourceFilesBelow('src').map(({ path }) => path))).toEqual([]);
});

test('src has fewer than 400 files, because a file holds one whole concept', () => {
  expect(sourceTextsBelow('src').length).toBeLessThan(400);
});

test('two files of one name are a fault unless each is in a folder of families', () => {
  const family = ['src/commands/jobs.ts', 'src/routes/jobs.ts', 'src/domain/jobs/jobs.ts'];
  expect(fileNameFaults(family)).toEqual([]);
  expect(fileNameFaults([...family, 'src/engine/jobs.ts'])).toEqual([
    'jobs.ts is the name of src/commands/jobs.ts and src/routes/jobs.ts and src/domain/jobs/jobs.ts and src/engine/jobs.ts.',
  ]);
  expect(fileNameFaults(['src/block/lock.ts', 'src/engine/lock.ts'])).toEqual([
    'lock.ts is the name of src/block/lock.ts and src/engine/lock.ts.',
  ]);
});
