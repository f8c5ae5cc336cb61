/**
 * Records migration streams of small guests from a real QEMU into test/fixtures/streams, with QEMU's figures of each stream and
 * a README with the commands. Run: node scripts/record-fixtures.ts
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { qemu72Binary, qemuBinary } from '../test/helpers/qemu/binaries.ts';
import { toFixtureText } from './ask-qemu/fixture-text.ts';
import { readmeFor } from './record-fixtures/readme.ts';
import { RECIPES, type Recipe } from './record-fixtures/recipes.ts';
import { type Recording, record } from './record-fixtures/record.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'test', 'fixtures', 'streams');
const TOTAL_BYTES_MAX = 2 * 1024 * 1024;

mkdirSync(DIRECTORY, { recursive: true });
const recordings: Recording[] = [];
const facts: Record<string, object> = {};
let totalBytes = 0;
for (const recipe of RECIPES) {
  const recording = await record(recipe, binaryFor(recipe));
  recordings.push(recording);
  facts[recipe.name] = { ...recording.facts, sha256: createHash('sha256').update(recording.stream).digest('hex') };
  totalBytes += keep(`${recipe.name}.bin.gz`, recording.stream);
  if (recording.returnPath !== null) totalBytes += keep(`${recipe.name}.return.bin.gz`, recording.returnPath);
}
if (totalBytes > TOTAL_BYTES_MAX)
  throw new Error(`The streams take ${totalBytes} bytes, more than ${TOTAL_BYTES_MAX}.`);
writeFileSync(join(DIRECTORY, 'facts.json'), toFixtureText(facts));
writeFileSync(join(DIRECTORY, 'README.md'), readmeFor(recordings));

function keep(name: string, bytes: Uint8Array): number {
  const packed = gzipSync(bytes, { level: 9 });
  writeFileSync(join(DIRECTORY, name), packed);
  console.log(`${name}: ${bytes.length} bytes, ${packed.length} packed`);
  return packed.length;
}

function binaryFor(recipe: Recipe): string {
  const binary = recipe.qemu === '7.2' ? qemu72Binary() : qemuBinary();
  if (binary === null) throw new Error(`QEMU ${recipe.qemu} is missing.`);
  return binary;
}
