import { describe, expect, it } from 'vitest';
import { inTransaction } from '../../src/store/database-file.ts';
import { jobRepository } from '../../src/store/job-repository.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';

describe('a write that the database refuses', () => {
  it('because the disk is full is refused as no_space and stores nothing', () => {
    const { connection } = openedMemoryDatabase();
    connection.pragma(`max_page_count = ${connection.pragma('page_count', { simple: true })}`);
    const jobs = jobRepository(connection);
    const details = { text: 'x'.repeat(100_000) };
    const insert = () => jobs.insert({ id: 'a', type: 'snapshot-save', resources: [], details, createdAt: 1 });
    const message = `No space is left for the database ${connection.name}.`;
    expect(insert).toThrow(expect.objectContaining({ code: 'no_space', message }));
    expect(jobs.get('a')).toBeNull();
  });

  it.each([
    ['SQLITE_IOERR_WRITE', 'data_directory_unusable'],
    ['SQLITE_READONLY_DBMOVED', 'data_directory_unusable'],
    ['SQLITE_BUSY', 'data_directory_unusable'],
    ['SQLITE_CORRUPT_INDEX', 'database_corrupt'],
    ['SQLITE_CONSTRAINT_UNIQUE', 'SQLITE_CONSTRAINT_UNIQUE'],
  ])('because of %s has the code %s', (said, code) => {
    const { connection } = openedMemoryDatabase();
    const fail = () => {
      throw Object.assign(new Error('as SQLite says'), { code: said });
    };
    const expected = { code, message: expect.stringContaining('as SQLite says') };
    expect(() => inTransaction(connection, fail)).toThrow(expect.objectContaining(expected));
  });
});
