import { readFileSync } from 'node:fs';
import type { GuestKernels } from './guest-kernels.ts';
import type { MigrationKernels } from './migration-kernels.ts';

export type Kernels = MigrationKernels & GuestKernels;

/** Reads and compiles the kernels. A thread does it once and instantiates the module for every segment. */
export function compileKernels(): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(new URL('../../../kernels/build/kernels.wasm', import.meta.url)));
}

/** Kernels that work in `memory`, one segment of guest memory. */
export function instantiateKernels(memory: WebAssembly.Memory, module: WebAssembly.Module = compileKernels()): Kernels {
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}
