import { cpSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const BUILT_JS = new URL('../../bin/built.js', import.meta.url);
const OLD = 1_000_000;
const NEW = 2_000_000;

/** A checkout with the time OLD for all files, and a copy of the program under test. */
async function checkout(): Promise<{ root: string; isBuilt: () => boolean }> {
  const root = mkdtempSync(join(tmpdir(), 'vmferry-built-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const folder of ['bin', 'src/deep', 'dist']) mkdirSync(join(root, folder), { recursive: true });
  cpSync(BUILT_JS, join(root, 'bin/built.js'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  for (const file of ['src/main.ts', 'src/deep/a.ts', 'package-lock.json', 'dist/main.js'])
    writeFileSync(join(root, file), '');
  for (const path of ['src/deep/a.ts', 'src/main.ts', 'src/deep', 'src', 'package-lock.json'])
    utimesSync(join(root, path), OLD, OLD);
  utimesSync(join(root, 'dist/main.js'), NEW, NEW);
  const { isBuilt } = (await import(pathToFileURL(join(root, 'bin/built.js')).href)) as { isBuilt: () => boolean };
  return { root, isBuilt };
}

test('a build that is newer than all sources is used', async () => {
  const { isBuilt } = await checkout();
  expect(isBuilt()).toBe(true);
});

test.each(['src/deep/a.ts', 'src/deep', 'src', 'package-lock.json'])(
  'no build is used after %s has changed',
  async (path) => {
    const { root, isBuilt } = await checkout();
    utimesSync(join(root, path), NEW + 1, NEW + 1);
    expect(isBuilt()).toBe(false);
  },
);

test('a package has no sources, and a checkout may have no build', async () => {
  const { root, isBuilt } = await checkout();
  rmSync(join(root, 'src'), { recursive: true });
  rmSync(join(root, 'package-lock.json'));
  expect(isBuilt()).toBe(true);
  rmSync(join(root, 'dist'), { recursive: true });
  expect(isBuilt()).toBe(false);
});
