// Bundles the service into dist, unless dist is up to date. Finding, reading and linking hundreds of source files would take most
// of the start (docs/adr/0045-service-starts-from-a-bundle.md).

import { copyFileSync, renameSync, rmSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'rolldown';
import { isBuilt } from '../bin/built.js';
import { assertNoSources, entryName, withBuiltUrls } from './build/built-urls.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');
const DIST = join(ROOT, 'dist');
/** Entry points of the process and of its threads, relative to `src`. */
const ENTRIES = [
  'main.ts',
  'engine/session/transfer-worker.ts',
  'engine/snapshot/worker/block-thread.ts',
  'machine/synthetic/vcpu-worker.ts',
];
/** Packages that are bundled into dist. Each has hundreds of files, and every start loads it. */
const INLINED = ['typebox'];

if (!isBuilt()) await build();

/** Builds in a temporary folder and renames it, so that a starting service finds either a complete dist or none. */
async function build(): Promise<void> {
  // The bundler is loaded only here, because most calls find that dist is up to date.
  const { rolldown } = await import('rolldown');
  const fresh = `${DIST}.${process.pid}`;
  const bundle = await rolldown({
    input: Object.fromEntries(ENTRIES.map((path) => [entryName(path), join(SRC, path)])),
    platform: 'node',
    external: (id) => !id.startsWith('.') && !id.startsWith(sep) && !INLINED.includes(id),
    plugins: [builtUrls()],
  });
  try {
    const options = { dir: fresh, entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' };
    const { output } = await bundle.write({ ...options, format: 'esm' });
    for (const file of output) if (file.type === 'chunk') assertNoSources(file.code);
    for (const name of INLINED) copyFileSync(licenseOf(name), join(fresh, `license-${name}.txt`));
    rmSync(DIST, { recursive: true, force: true });
    renameSync(fresh, DIST);
  } finally {
    await bundle.close();
    rmSync(fresh, { recursive: true, force: true });
  }
}

function builtUrls(): Plugin {
  return {
    name: 'built-urls',
    transform(code, id) {
      const path = relative(SRC, id);
      if (path.startsWith('..') || !code.includes('import.meta.url')) return null;
      return { code: withBuiltUrls(path, code, (target) => ENTRIES.includes(target)), map: null };
    },
  };
}

function licenseOf(name: string): string {
  return join(ROOT, 'node_modules', name, 'license');
}
