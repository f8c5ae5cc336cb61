import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parameterText, parameterValue } from '../../src/cli/parameter-text.ts';
import { ioOf, runVmferry } from './fake-io.ts';
import { answers, type FakeService, fakeService, ok, problem } from './fake-service.ts';

const MOST = '18446744073709551615';
const PARAMETERS = `{"max-bandwidth":${MOST},"downtime-limit":300,"cpu-throttle-tailslow":false,"mode":"normal"}`;

async function service(): Promise<FakeService> {
  const made = await fakeService();
  made.handler = answers({
    'GET /migrate/parameters': ok(PARAMETERS),
    'PATCH /migrate/parameters': ({ body }) => ok({ ...JSON.parse(PARAMETERS), ...(body as object) }),
    'GET /migrate/capabilities': ok([
      { capability: 'events', state: true },
      { capability: 'return-path', state: false },
    ]),
    'PATCH /migrate/capabilities': ({ body }) => ok((body as { capabilities: unknown }).capabilities),
  });
  return made;
}

describe('set', () => {
  test('sends all values in one request, with the types of their parameters', async () => {
    const fake = await service();
    const io = ioOf(fake);
    const words = ['max-bandwidth=100M', 'downtime-limit=0x10', 'cpu-throttle-tailslow=on', 'mode=normal'];
    expect(await runVmferry(io, 'set', ...words)).toBe(0);
    expect(fake.asked).toEqual(['GET /migrate/parameters', 'PATCH /migrate/parameters']);
    expect(JSON.stringify(fake.requests[1]?.body)).toBe(
      '{"max-bandwidth":104857600,"downtime-limit":16,"cpu-throttle-tailslow":true,"mode":"normal"}',
    );
    expect(io.stdout).toBe('max-bandwidth=104857600\ndowntime-limit=16\ncpu-throttle-tailslow=on\nmode=normal\n');
  });

  test('keeps every digit of a large integer in request and answer', async () => {
    const fake = await service();
    const io = ioOf(fake);
    expect(await runVmferry(io, 'set', `max-bandwidth=${MOST}`, '--json')).toBe(0);
    expect(JSON.stringify(fake.requests[1]?.body)).toBe(`{"max-bandwidth":${MOST}}`);
    expect(io.stdout).toContain(`"max-bandwidth":${MOST}`);
  });

  test('prints all parameters and changes none without arguments', async () => {
    const fake = await service();
    const io = ioOf(fake);
    expect(await runVmferry(io, 'set')).toBe(0);
    expect(io.stdout.split('\n')).toEqual([
      `max-bandwidth=${MOST}`,
      'downtime-limit=300',
      'cpu-throttle-tailslow=off',
      'mode=normal',
      '',
    ]);
    expect(fake.asked).toEqual(['GET /migrate/parameters']);
  });

  test('sends invalid values, which the service refuses', async () => {
    const fake = await service();
    const handler = fake.handler;
    fake.handler = (seen) => (seen.method === 'PATCH' ? problem(422, 'value_out_of_range', 'No.') : handler(seen));
    const io = ioOf(fake);
    expect(await runVmferry(io, 'set', 'downtime-limit=soon', 'speed=1')).toBe(4);
    expect(fake.requests[1]?.body).toEqual({ 'downtime-limit': 'soon', speed: 1 });
    const hint = 'downtime-limit is a whole number of milliseconds, without a unit.';
    const said = `vmferry: parameters: refused (422 value_out_of_range): No. ${hint}\n`;
    expect([io.stdout, io.stderr]).toEqual(['', said]);
  });

  test.each([
    [['max-bandwidth'], 'It must be NAME=VALUE.'],
    [['=1'], 'It must be NAME=VALUE.'],
    [['mode=a', 'mode=b'], 'mode is given twice'],
  ])('%j ends with 2 and no request', async (words, said) => {
    const fake = await service();
    const io = ioOf(fake);
    expect(await runVmferry(io, 'set', ...words)).toBe(2);
    expect(io.stderr).toContain(said);
    expect(fake.asked).toEqual([]);
  });
});

describe('enable and disable', () => {
  test.each([
    ['enable', true, 'on'],
    ['disable', false, 'off'],
  ])('%s changes all given capabilities in one request', async (verb, state, said) => {
    const fake = await service();
    const io = ioOf(fake);
    expect(await runVmferry(io, verb, 'events', 'return-path')).toBe(0);
    expect(fake.requests.map(({ body }) => body)).toEqual([
      {
        capabilities: [
          { capability: 'events', state },
          { capability: 'return-path', state },
        ],
      },
    ]);
    expect(io.stdout).toBe(`events: ${said}\nreturn-path: ${said}\n`);
  });

  test('print all capabilities and change none without arguments', async () => {
    const fake = await service();
    const io = ioOf(fake);
    expect(await runVmferry(io, 'enable')).toBe(0);
    expect([io.stdout, fake.asked]).toEqual(['events: on\nreturn-path: off\n', ['GET /migrate/capabilities']]);
  });
});

describe('a typed value', () => {
  test.each([
    ['max-bandwidth', '1T', 1, '1099511627776'],
    ['max-bandwidth', '-1', 1, '-1'],
    ['max-bandwidth', '16777216T', 1, '18446744073709551616'],
    ['downtime-limit', '1k', 1, '"1k"'],
    ['downtime-limit', '', 1, '""'],
    ['direct-io', 'no', true, 'false'],
    ['direct-io', 'maybe', true, '"maybe"'],
    ['tls-creds', '12', '', '"12"'],
    ['block-bitmap-mapping', '[{"n":1}]', undefined, '[{"n":1}]'],
    ['unknown', 'text', undefined, '"text"'],
  ])('%s=%s is sent with the type of the current value %j: %s', (name, text, now, expected) => {
    expect(JSON.stringify(parameterValue(name, text, now))).toBe(expected);
  });

  test('is printed in a form that can be typed', () => {
    expect([true, 'x', 7, [1]].map(parameterText)).toEqual(['on', 'x', '7', '[1]']);
  });
});

describe('the token', () => {
  function tokenFile(text: string): string {
    const directory = mkdtempSync(join(tmpdir(), 'vmferry-token-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const file = join(directory, 'token');
    writeFileSync(file, text);
    return file;
  }

  test('is read from the file before VMFERRY_TOKEN', async () => {
    const fake = await service();
    const io = ioOf(fake);
    io.environment = { ...io.environment, token: 'other' };
    expect(await runVmferry(io, 'set', '--token-file', tokenFile('abc\n'))).toBe(0);
    expect(fake.requests[0]?.headers.authorization).toBe('Bearer abc');
  });

  test.each([
    ['has several', 'secret1 operator\nsecret2 viewer\n', 'must be one token of visible ASCII characters'],
    ['is empty', '\n', 'must be one token of visible ASCII characters'],
    ['does not exist', null, 'cannot be read'],
  ])('is refused in a file that %s, and is not printed', async (_, text, said) => {
    const fake = await service();
    const io = ioOf(fake);
    const file = text === null ? '/nowhere/token' : tokenFile(text);
    expect(await runVmferry(io, 'snapshot', 'list', '--token-file', file)).toBe(2);
    expect(io.stderr).toContain(said);
    expect(io.stderr).not.toContain('secret');
    expect(fake.asked).toEqual([]);
  });
});
