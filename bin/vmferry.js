#!/usr/bin/env node
// Plain JavaScript: an old Node can say what it misses, and Node 24 finds even main.ts in the compile cache, without
// loading its type stripper, which takes longer than all else that a command does.

import module from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { BUILT, isBuilt, SOURCE } from './built.js';

const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/vmferry', import.meta.url)));
  await import(pathToFileURL(isBuilt() ? BUILT : SOURCE).href);
} else {
  const hint = 'npm ci installs one, which every npm script uses: npm run -s vmferry -- COMMAND';
  process.stderr.write(`vmferry: needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.version} (${hint})\n`);
  process.exitCode = 2;
}
