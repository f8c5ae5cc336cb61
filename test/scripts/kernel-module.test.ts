import { describe, expect, test } from 'vitest';
import { kernelFaults } from '../../scripts/kernel-module.ts';

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

function name(text: string): number[] {
  return [text.length, ...Buffer.from(text)];
}

function section(id: number, content: number[]): number[] {
  return [id, content.length, ...content];
}

const VOID_TYPE = section(1, [1, 0x60, 0, 0]);
const MEMORY_IMPORT = section(2, [1, ...name('env'), ...name('memory'), 0x02, 0x03, 1, 1]);
const ONE_FUNCTION = section(3, [1, 0]);
const FUNCTION_EXPORT = section(7, [1, ...name('run'), 0x00, 0]);
const EMPTY_CODE = section(10, [1, 2, 0, 0x0b]);

function moduleOf(...sections: number[][]): Uint8Array {
  return Uint8Array.from([...HEADER, ...sections.flat()]);
}

test('a module of functions on an imported memory is accepted', () => {
  expect(kernelFaults(moduleOf(VOID_TYPE, MEMORY_IMPORT, ONE_FUNCTION, FUNCTION_EXPORT, EMPTY_CODE))).toEqual([]);
});

describe('a kernel module is refused', () => {
  test('if it is no module', () => {
    expect(kernelFaults(Uint8Array.from(HEADER.slice(1)))).toEqual(['The file is not a valid WebAssembly module.']);
  });

  test('if it writes static data into the memory', () => {
    const data = section(11, [1, 0, 0x41, 0, 0x0b, 1, 7]);
    expect(kernelFaults(moduleOf(MEMORY_IMPORT, data))[0]).toContain('static data');
  });

  test('if it executes code at its instantiation', () => {
    const start = section(8, [0]);
    const faults = kernelFaults(moduleOf(VOID_TYPE, MEMORY_IMPORT, ONE_FUNCTION, start, EMPTY_CODE));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain('start function');
  });

  test('if it imports a function, and abort is explained', () => {
    const abort = section(2, [1, ...name('env'), ...name('abort'), 0x00, 0]);
    expect(kernelFaults(moduleOf(VOID_TYPE, abort))[0]).toContain(
      '"env.abort"; only env.memory and env.results may be imported; use',
    );
  });

  test('if it exports its own memory', () => {
    const memory = section(5, [1, 0, 1]);
    const memoryExport = section(7, [1, ...name('memory'), 0x02, 0]);
    expect(kernelFaults(moduleOf(memory, memoryExport))).toEqual([
      'It exports the memory "memory"; only functions may be exported.',
    ]);
  });
});
