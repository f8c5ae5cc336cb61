/*
 * QEMU scenario /migration/analyze-script: QEMU's own script `analyze-migration.py` reads what this service writes. The script is
 * taken from Debian's source package, from the place that the system's own apt sources name. It is not kept.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { startService } from '../helpers/service.ts';

const TARGETS = ['indextargets', '--format', '$(SITE) $(RELEASE)', 'Created-By: Packages'];

/** The package sources of this system: a site and a release each. */
function aptSources(): readonly string[] {
  const lines = execFileSync('apt-get', TARGETS, { encoding: 'utf8' }).split('\n');
  return [...new Set(lines.filter((line) => /\/debian \S+/.test(line)))];
}

/** Fetches the upstream part of Debian's source package of QEMU. @returns its path. */
function sourcePackage(): string {
  const work = temporaryDirectory();
  for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(work, folder), { recursive: true });
  writeFileSync(join(work, 'status'), '');
  const sources = aptSources().map((source) => `deb-src ${source} main\n`);
  writeFileSync(join(work, 'sources.list'), sources.join(''));
  const settings = [
    `Dir::State::lists=${work}/lists`,
    `Dir::State::status=${work}/status`,
    `Dir::Cache=${work}/cache`,
    `Dir::Etc::sourcelist=${work}/sources.list`,
    'Dir::Etc::sourceparts=-',
    'APT::Sandbox::User=root',
  ].flatMap((setting) => ['-o', setting]);
  const apt = (...words: string[]) => execFileSync('apt-get', ['-q', ...settings, ...words], { cwd: work });
  apt('update');
  try {
    apt('source', '--download-only', '--tar-only', 'qemu');
  } catch {
    // A mirror may lack other parts of the package; only the upstream part is needed.
  }
  const name = readdirSync(work).find((file) => /^qemu_.*\.orig\.tar\.xz$/.test(file));
  if (name === undefined) throw new Error(`no source package of QEMU at ${sources.join(', ')}`);
  return join(work, name);
}

/** The script, in a folder of this test. */
function fetchScript(): string {
  const wanted = ['--wildcards', '*/scripts/analyze-migration.py'];
  const text = execFileSync('tar', ['-xJOf', sourcePackage(), ...wanted], { maxBuffer: 2 ** 24 });
  const path = join(temporaryDirectory(), 'analyze-migration.py');
  writeFileSync(path, text);
  return path;
}

/** The output of the script for a stream: its devices by name, with their fields. */
function analysed(script: string, path: string): Readonly<Record<string, Readonly<Record<string, unknown>>>> {
  const text = execFileSync('python3', [script, '-f', path], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  return JSON.parse(text) as ReturnType<typeof analysed>;
}

test("QEMU's analysis script reads the stream of a synthetic guest, and images with the same result as before", async () => {
  const script = fetchScript();
  await readsSynthetic(script);
  for (const name of ['pc-10.0', 'q35-10.0', 'pc-7.2']) await readsImage(script, name);
});

async function readsSynthetic(script: string): Promise<void> {
  const service = await startService(['--ram', '2M', '--vcpus', '2']);
  expect((await service.send('file:guest.bin')).status).toBe('completed');
  const found = analysed(script, join(service.dataDirectory, 'files', 'guest.bin'));
  const names = Object.keys(found).filter((name) => name.startsWith('ferry-'));
  const kinds = ['workload', 'timer', 'console', 'disk', 'panic', 'vcpu', 'vcpu'];
  expect(names.map((name) => name.split(' ')[0])).toEqual(kinds.map((kind) => `ferry-${kind}`));
  const { ticks } = (await service.get('/machine')).json as { ticks: number };
  const timer = Object.entries(found).find(([name]) => name.startsWith('ferry-timer'))?.[1];
  expect(Number(timer?.ticks)).toBe(ticks);
}

/** Expects the same devices in the stream that an image has received and sent. */
async function readsImage(script: string, name: string): Promise<void> {
  const root = temporaryDirectory();
  writeFileSync(join(root, 'in.bin'), readStreamFixture(name).stream);
  const service = await startService(['--machine', 'image', '--file-root', root, '--incoming', 'file:in.bin']);
  expect((await service.waitForEnd()).status).toBe('completed');
  expect((await service.send('file:out.bin')).status).toBe('completed');
  const [before, after] = ['in.bin', 'out.bin'].map((file) => analysed(script, join(root, file)));
  expect(after).toEqual(before);
}
