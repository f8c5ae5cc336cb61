import { expect, test } from 'vitest';
import { withCompiledUrls } from '../../scripts/package/compiled-urls.ts';

const everything = () => true;

test('the address of a worker names what it was compiled to', () => {
  const text = `new Worker(new URL('./worker/main.ts', import.meta.url)); new URL("../x.ts", import.meta.url);`;
  expect(withCompiledUrls(text, everything)).toBe(
    `new Worker(new URL('./worker/main.js', import.meta.url)); new URL("../x.js", import.meta.url);`,
  );
});

test('other addresses stay as they are', () => {
  const text = `new URL('../../kernels.wasm', import.meta.url); import './a.js'; 'it.ts is a word';`;
  expect(withCompiledUrls(text, () => false)).toBe(text);
});

test('a worker that was not compiled is refused', () => {
  expect(() => withCompiledUrls(`new URL('./gone.ts', import.meta.url)`, (path) => path !== './gone.js')).toThrow(
    './gone.ts was not compiled.',
  );
});

test.each([
  ["a path that is no address of its own: `'./x.ts'`", `const worker = './x.ts';`],
  ['an address with another base', `new URL('../x.ts', base)`],
])('a source that is named in another way is refused: %s', (_, text) => {
  expect(() => withCompiledUrls(text, everything)).toThrow('x.ts would not be found in the package.');
});
