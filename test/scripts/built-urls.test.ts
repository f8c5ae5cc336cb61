import { expect, test } from 'vitest';
import { assertNoSources, entryName, withBuiltUrls } from '../../scripts/build/built-urls.ts';

test('the address of a worker is that of its built file', () => {
  const text = `new Worker(new URL('./worker/main.ts', import.meta.url)); new URL("../x.ts", import.meta.url);`;
  expect(withBuiltUrls('engine/engine.ts', text, () => true)).toBe(
    `new Worker(new URL('./engine-worker-main.js', import.meta.url)); new URL("./x.js", import.meta.url);`,
  );
  expect(entryName('engine/session/transfer-worker.ts')).toBe('engine-session-transfer-worker');
});

test('other addresses refer to the same files, from a folder next to src', () => {
  const text = `new URL('../../../docs/errors/', import.meta.url); new URL('./a.wasm', import.meta.url); f(import.meta.url)`;
  expect(withBuiltUrls('engine/kernels/kernels.ts', text, () => false)).toBe(
    `new URL('./../docs/errors/', import.meta.url); new URL('./engine/kernels/a.wasm', import.meta.url); f(import.meta.url)`,
  );
});

test('a worker that is not built is refused', () => {
  expect(() =>
    withBuiltUrls('a/b.ts', `new URL('./gone.ts', import.meta.url)`, (path) => path !== 'a/gone.ts'),
  ).toThrow('./gone.ts is not an entry point and was not built.');
});

test.each([
  ["a path that is no address of its own: `'./x.ts'`", `const worker = './x.ts';`],
  ['an address with another base', `new URL('../x.ts', base)`],
])('an unsupported name of a source is refused: %s', (_, text) => {
  expect(() => assertNoSources(text)).toThrow('x.ts is not a file of the package.');
  expect(() => assertNoSources(`import './a.js'; 'it.ts is a word';`)).not.toThrow();
});
