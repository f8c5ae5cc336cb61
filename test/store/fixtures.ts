import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { MigrationRecord, MigrationSample, Store } from '../../src/domain/ports/store.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';

export const SCHEMA_DIRECTORY = join(import.meta.dirname, '../../migrations-db');

/** A data directory that is removed when the test has finished. */
export function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-store-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A store that is closed when the test has finished; in memory if no directory is given. */
export function openedStore(directory?: string): Store {
  const store = directory === undefined ? openMemoryStore() : openStore(directory, SCHEMA_DIRECTORY);
  onTestFinished(() => store.close());
  return store;
}

export function migrationRecord(id: string, change: Partial<MigrationRecord> = {}): MigrationRecord {
  return {
    id,
    direction: 'outgoing',
    uri: 'tcp:h:1',
    status: 'setup',
    startedAt: 1_700_000_000_000,
    endedAt: null,
    errorCode: null,
    errorDescription: null,
    guest: null,
    settingsJson: '{"max-bandwidth":18446744073709551615}',
    resultJson: null,
    sharedId: null,
    transferredBytes: null,
    totalTimeMs: null,
    downtimeMs: null,
    ...change,
  };
}

export function sampleAt(atMs: number): MigrationSample {
  return {
    atMs,
    status: 'active',
    transferredBytes: 2 ** 52,
    remainingBytes: 3,
    bandwidth: 1.5,
    dirtyPagesRate: 2,
    expectedDowntimeMs: 300,
    pass: 1,
  };
}
