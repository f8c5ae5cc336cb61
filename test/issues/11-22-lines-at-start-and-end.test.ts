// Faults before the start of the HTTP server were written by console.error, because only the server had a logger. The
// repair of an image at the start became `Error: …` with a stack trace in plain text between lines of JSON. A process
// that ended because of a failed incoming migration (exit-on-error) logged nothing, see 11-08-outcomes.test.ts. An
// unfinished migration or job of an earlier process was closed without a log line.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createImage } from '../../src/block/qcow2/open-image.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { captureLog, LEVELS } from '../helpers/logged-app.ts';
import { migrationRecord, SCHEMA_DIRECTORY } from '../store/fixtures.ts';

/** Sets the counts of clusters far after the end, as a crash between two writes does. */
function leak(path: string, clusters: number): void {
  const bytes = readFileSync(path);
  const table = Number(bytes.readBigUInt64BE(48));
  const block = Number(bytes.readBigUInt64BE(table));
  for (let index = 0; index < clusters; index += 1) bytes.writeUInt16BE(1, block + 2 * (1000 + index));
  writeFileSync(path, bytes);
}

test('the repair of an image at the start is logged as one line of JSON with code, node and reason', async () => {
  const directory = temporaryDirectory();
  const images = ['one', 'two', 'three'].map((name) => ({ name, path: join(directory, `${name}.qcow2`) }));
  for (const { path } of images) await createImage(path, { diskBytes: 2 ** 20 });
  for (const [index, { path }] of images.slice(1).entries()) leak(path, index + 1);
  const flags = images.flatMap(({ name, path }) => ['--blockdev', `${name}=${path}`]);
  const log = captureLog();
  const parts = { engine: new FakeEngine(), machine: new FakeMachine(), logStream: log.stream };
  await startApp({ ...testConfig(flags), logLevel: 'warn' }, parts);
  const lines = log.lines();
  expect(lines).toMatchObject([
    { level: LEVELS.warn, code: 'image_repaired', node: 'two', leakedClusters: 1, correctedEntries: 0 },
    { level: LEVELS.warn, code: 'image_repaired', node: 'three', leakedClusters: 2, correctedEntries: 0 },
  ]);
  for (const { reason } of lines) expect(reason).toMatch(/^The image of node 't\w+' had not been closed: \d leaked/);
});

test('each unfinished migration and job of an earlier process is logged as one line of JSON', async () => {
  const directory = temporaryDirectory();
  const store = openStore(directory, SCHEMA_DIRECTORY);
  const uri = 'tcp:10.0.0.7:4444';
  store.migrations.insert(migrationRecord('m1', { status: 'active', uri }));
  store.migrations.insert(migrationRecord('m2', { status: 'device', uri }));
  store.jobs.insert({ id: 'j1', type: 'snapshot-save', resources: [], details: {}, createdAt: 1 });
  store.close();
  const log = captureLog();
  const parts = { engine: new FakeEngine(), machine: new FakeMachine(), logStream: log.stream };
  await startApp({ ...testConfig([], directory), logLevel: 'warn' }, parts);
  const stopped = { level: LEVELS.warn, code: 'service_stopped', reason: expect.stringContaining('stopped') };
  expect(log.lines()).toMatchObject([
    { ...stopped, migration: 'm1', guest: null },
    { ...stopped, migration: 'm2', guest: 'unknown' },
    { ...stopped, job: 'j1', type: 'snapshot-save' },
  ]);
});
