// A plugin served the files below /docs/static from the disk, and the problem handler did not know its errors. A path
// out of the folder and a range outside the file were answered with 500 and left no log line. Now a path is looked up
// in a list of the parts of the page, and never reaches the file system.

import { describe, expect, test } from 'vitest';
import { ask, exchange, fakeApp, listen } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

const service = shared(async () => {
  const app = await fakeApp();
  return { app, port: await listen(app.server) };
});

const TRICKS = [
  '/docs/static/../../package.json',
  '/docs/static/..%2f..%2fpackage.json',
  '/docs/static/%2e%2e/%2e%2e/package.json',
  '/docs/static/%252e%252e/package.json',
  '/docs/static/..\\..\\package.json',
  '/docs/static/....//package.json',
  '/docs/static//etc/passwd',
  '/docs/static/%00',
  '/docs/static/index.css%00.js',
  '/docs/static/%ff%fe',
  '/docs/static/%',
  '/docs/static/%zz',
  '/docs/static/.',
  '/docs/static/',
  '/docs/static',
  '/docs/static/csp.json/',
  '/docs/static/INDEX.CSS',
  `/docs/static/${'a'.repeat(5000)}`,
  `/docs/static/${'../'.repeat(2000)}etc/passwd`,
  '/docs//json',
  '/docs/__proto__',
  '/docs/..',
  '/errors/..%2f..%2fpackage.json',
  '/errors/__proto__',
  '/errors/constructor',
  '/errors/no_space%00',
];

describe('paths below /docs and /errors', () => {
  test.each(TRICKS)('a path to no document is refused with a problem: %s', async (path) => {
    const { port } = service();
    const answer = await exchange(port, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 (?:400|404|414) /);
    expect(answer).toContain('content-type: application/problem+json');
  });

  test('the index of the page redirects to its path, and a query changes nothing', async () => {
    const { server } = service().app;
    const index = await ask(server, '/docs/static/index.html');
    expect([index.status, index.headers.location]).toEqual([302, '/docs/']);
    expect((await ask(server, '/docs/static/index.css?v=1')).status).toBe(200);
  });
});

describe.each(['/docs/static/index.css', '/openapi.json', '/errors/no_space', '/docs/json'])('ranges of %s', (path) => {
  const get = (range: string, headers = {}) => ask(service().app.server, path, { headers: { range, ...headers } });

  test('outside the file are refused with 416 and the length', async () => {
    const whole = await ask(service().app.server, path);
    const length = Buffer.byteLength(whole.text);
    for (const range of [`bytes=${length}-`, 'bytes=99999999-', 'bytes=999999999999-9999999999999', 'bytes=-0']) {
      const { status, json, headers } = await get(range);
      const got = [range, status, json.code, headers['content-range']];
      expect(got).toEqual([range, 416, 'range_not_satisfiable', `bytes */${length}`]);
    }
  });

  test('inside the file, in part or completely, are answered with 206 and their bytes', async () => {
    const whole = Buffer.from((await ask(service().app.server, path)).text);
    const { length } = whole;
    const ranges = [
      ['bytes=0-0', 0, 0],
      ['bytes=5-9', 5, 9],
      [`bytes=${length - 1}-`, length - 1, length - 1],
      ['bytes=7-99999999', 7, length - 1],
      ['bytes=-4', length - 4, length - 1],
      ['bytes=-99999999', 0, length - 1],
    ] as const;
    for (const [range, first, last] of ranges) {
      const { status, text, headers } = await get(range);
      expect([range, status, headers['content-range']]).toEqual([range, 206, `bytes ${first}-${last}/${length}`]);
      expect(text).toBe(whole.subarray(first, last + 1).toString());
    }
  });

  test('that are invalid, several, or of another version are ignored', async () => {
    const { text, headers } = await ask(service().app.server, path);
    for (const range of ['bytes=9-5', 'bytes=a-b', 'lines=0-1', 'bytes=0-1,4-5', 'bytes=', '0-1', 'bytes=--1']) {
      expect((await get(range)).status, range).toBe(200);
    }
    const other = await get('bytes=0-0', { 'if-range': '"another"' });
    expect([other.status, other.text]).toEqual([200, text]);
    expect((await get('bytes=0-0', { 'if-range': String(headers.etag) })).status).toBe(206);
  });
});
