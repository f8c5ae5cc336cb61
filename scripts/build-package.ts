// Compiles src into dist, for the npm package: Node strips no types inside node_modules. dist lies as deep as src, so
// what is found relative to a source (kernels, schema steps, pages) is found by what it was compiled to.

import { spawnSync } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withCompiledUrls } from './package/compiled-urls.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');

rmSync(DIST, { recursive: true, force: true });
// Types are checked by `npm run check:types`; to check them again takes ten times as long as to strip them.
const compiler = [join(ROOT, 'node_modules/typescript/bin/tsc'), '--noCheck', '-p', join(ROOT, 'tsconfig.build.json')];
const { status } = spawnSync(process.execPath, compiler, { stdio: 'inherit' });
if (status !== 0) throw new Error(`tsc ended with ${status}.`);
const files = globSync('**/*.js', { cwd: DIST }).map((name) => join(DIST, name));
const compiled = new Set(files);
for (const file of files) {
  const text = readFileSync(file, 'utf8');
  const rewritten = withCompiledUrls(text, (path) => compiled.has(join(dirname(file), path)));
  if (rewritten !== text) writeFileSync(file, rewritten);
}
