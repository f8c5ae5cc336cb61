#!/usr/bin/env node
// Plain JavaScript: an old Node can say what it misses, and Node 24 finds even main.ts in the compile cache, without
// loading its type stripper, which takes longer than all else that a command does.

import { existsSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 24;

if (Number.parseInt(process.versions.node, 10) >= NODE_MAJOR_MIN) {
  module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/vmferry', import.meta.url)));
  // A checkout runs its sources; a package has only what they were compiled to.
  const source = new URL('../src/main.ts', import.meta.url);
  await import(existsSync(source) ? source.href : new URL('../dist/main.js', import.meta.url).href);
} else {
  const hint = 'npm ci brings one; npx vmferry and npm start use it';
  process.stderr.write(`vmferry: needs Node ${NODE_MAJOR_MIN} or newer, this is ${process.version} (${hint})\n`);
  process.exitCode = 2;
}
