// Compiles kernels/assembly to kernels/build/kernels.wasm. With --check it compiles into another file and compares both.
// The compiled file is committed, so that the service and the tests start without the AssemblyScript compiler.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kernelFaults } from './kernel-module.ts';

const KERNELS = join(import.meta.dirname, '..', 'kernels');
const ENTRY = join(KERNELS, 'assembly', 'index.ts');
const BUILT = join(KERNELS, 'build', 'kernels.wasm');

function main(): number {
  if (!existsSync(ENTRY)) {
    if (!existsSync(BUILT)) {
      console.log('kernels: no kernels/assembly/index.ts, nothing to build');
      return 0;
    }
    console.error('kernels: kernels/build/kernels.wasm has no source (kernels/assembly/index.ts is missing)');
    return 1;
  }
  const bytes = compile();
  if (bytes === null) return 1;
  const faults = kernelFaults(bytes);
  for (const fault of faults) console.error(`kernels: ${fault}`);
  if (faults.length > 0) return 1;
  return process.argv.includes('--check') ? compare(bytes) : write(bytes);
}

/** Returns null if the compiler has reported an error. */
function compile(): Buffer | null {
  const compiler = createRequire(import.meta.url).resolve('assemblyscript/bin/asc.js');
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-kernels-'));
  try {
    const outFile = join(directory, 'kernels.wasm');
    const flags = ['--config', 'asconfig.json', '--outFile', outFile];
    const { status } = spawnSync(process.execPath, [compiler, ...flags], { cwd: KERNELS, stdio: 'inherit' });
    return status === 0 ? readFileSync(outFile) : null;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function compare(bytes: Buffer): number {
  if (existsSync(BUILT) && readFileSync(BUILT).equals(bytes)) {
    console.log(`kernels: a rebuild has the same ${bytes.length} bytes`);
    return 0;
  }
  console.error('kernels: kernels/build/kernels.wasm differs from a build of its sources; run `npm run build:kernels`');
  return 1;
}

function write(bytes: Buffer): number {
  mkdirSync(join(KERNELS, 'build'), { recursive: true });
  writeFileSync(BUILT, bytes);
  console.log(`kernels: wrote kernels/build/kernels.wasm, ${bytes.length} bytes`);
  return 0;
}

process.exitCode = main();
