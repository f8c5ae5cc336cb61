/**
 * Sends commands to a real QEMU 10.0 and stores its answers in test/fixtures/qemu.
 * Run: node scripts/ask-qemu.ts [capabilities] [parameters] [jobs] [query-migrate]
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { qemu72Binary, qemuBinary } from '../test/helpers/qemu/binaries.ts';
import { askCapabilities } from './ask-qemu/capabilities.ts';
import { toFixtureText } from './ask-qemu/fixture-text.ts';
import { askJobs } from './ask-qemu/jobs.ts';
import { askParameters } from './ask-qemu/parameters.ts';
import { askQueryMigrate } from './ask-qemu/query-migrate.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'test', 'fixtures', 'qemu');

const QUESTIONS: Readonly<Record<string, () => Promise<void>>> = {
  capabilities: async () => keep('capability-pairs.json', await askCapabilities()),
  parameters: async () => keep('parameter-bounds.json', await askParameters()),
  jobs: async () => keep('jobs.json', await askJobs(required(qemuBinary()))),
  'query-migrate': async () => {
    keep('query-migrate-10.0.json', await askQueryMigrate(required(qemuBinary())));
    const older = qemu72Binary();
    if (older !== null) keep('query-migrate-7.2.json', await askQueryMigrate(older));
  },
};

function required(binary: string | null): string {
  if (binary === null) throw new Error('QEMU 10 is not installed on this computer.');
  return binary;
}

function keep(name: string, facts: object): void {
  mkdirSync(DIRECTORY, { recursive: true });
  writeFileSync(join(DIRECTORY, name), toFixtureText(facts));
  console.log(`wrote ${name}`);
}

const chosen = process.argv.slice(2);
for (const name of chosen.length > 0 ? chosen : Object.keys(QUESTIONS)) {
  const question = QUESTIONS[name];
  if (question === undefined) throw new Error(`There is no question "${name}".`);
  await question();
}
