// The example of docs/wire-format.md is a valid stream with the documented contents.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { StreamWalker } from '../../helpers/stream-walker.ts';
import { blockBytes, imagePlan, read } from './reading.ts';

const PAGE = join(import.meta.dirname, '..', '..', '..', 'docs', 'wire-format.md');
const GLOBAL_STATE_BYTES = 104;

/** The bytes of the page's code block; an ellipsis stands for the padding of globalstate. */
function exampleBytes(): Buffer {
  const block = /## Worked example[\s\S]*?```\n([\s\S]*?)```/.exec(readFileSync(PAGE, 'utf8'))?.[1] ?? '';
  const lines = block.split('\n').map((line) => {
    const [, digits = '', more] = /^((?: *[0-9a-f]{2}(?= |$))*)( +…)?/.exec(line) ?? [];
    const bytes = Buffer.from(digits.replaceAll(' ', ''), 'hex');
    return more === undefined ? bytes : Buffer.concat([bytes, Buffer.alloc(GLOBAL_STATE_BYTES - bytes.length)]);
  });
  return Buffer.concat(lines);
}

it('the worked example of the documentation is read with the values of the documentation', () => {
  const { loaded, error } = read(exampleBytes(), imagePlan());

  expect(error).toBeNull();
  if (loaded?.state.form !== 'image') throw new Error('no image was loaded');
  const { image, machineName, memory } = loaded.state;
  expect([machineName, loaded.globalState, image.ramSectionId]).toEqual(['small-1.0', 'running', 2]);
  expect(blockBytes(memory, 'a').equals(Buffer.alloc(4096))).toBe(true);
  expect(image.sections.map(({ idstr, sectionId }) => [idstr, sectionId])).toEqual([
    ['clock', 3],
    ['globalstate', 4],
  ]);
  expect(Buffer.from(image.sections[0]?.body ?? []).toString('hex')).toBe('00000000000000ff');
  expect(Buffer.from(image.vmDescription ?? []).toString()).toBe('{"devices":[]}');
});

it('the worked example cannot be parsed by its description, which names no device', () => {
  expect(() => new StreamWalker(exampleBytes())).toThrow();
});
