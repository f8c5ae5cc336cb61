import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { AppOptions } from '../../src/app.ts';
import { createApp } from '../../src/app.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { temporaryDirectory, testConfig } from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import { connectQmp, negotiated, qmpAddress } from '../helpers/qmp-client.ts';

async function hostileApp(qmpLimits: NonNullable<AppOptions['qmpLimits']> = {}) {
  const config = testConfig(['--qmp', `unix:${join(temporaryDirectory(), 'qmp')}`]);
  const parts = { engine: new FakeEngine(), machine: new FakeMachine(), blocks: new MemoryBlocks() };
  const app = await createApp(config, { ...parts, qmpLimits });
  onTestFinished(() => app.close());
  return { app, address: await qmpAddress(app) };
}

/** Bytes of objects and buffers that are still in use. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** An invalid line, and the number of errors for it. */
const wrongType = fc.constantFrom('1', 'null', '[]', '"x"', '{"execute":[]}', '{"execute":{}}', '{"execute":null}');
const unknownMember = fc
  .stringMatching(/^[a-z]{1,12}$/)
  .map((name) => `{"execute":"stop","arguments":{"no-${name}":1}}`);
const wrongArguments = fc.constantFrom(
  '{"execute":"migrate-set-parameters","arguments":{"downtime-limit":"1"}}',
  '{"execute":"migrate-set-parameters","arguments":{"downtime-limit":1.5}}',
  '{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":99999999999999999999999}}',
  '{"execute":"migrate-set-capabilities","arguments":{"capabilities":{"a":1}}}',
  '{"execute":"snapshot-save","arguments":{}}',
  '{"execute":"job-cancel","arguments":{"id":7}}',
);
const nested = fc.integer({ min: 2, max: 1000 }).map((depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
const huge = fc
  .integer({ min: 5000, max: 200_000 })
  .map((length) => `{"execute":"job-cancel","arguments":{"id":"${'x'.repeat(length)}"}}`);
const hugeName = fc.integer({ min: 5000, max: 200_000 }).map((length) => `{"execute":"${'y'.repeat(length)}"}`);
const garbage = fc.stringMatching(/^[#%&()*/;<=>?@^_`|~!$]{1,40}$/);
const cutShort = fc.constantFrom('{"execute":', '{"execute":"stop"', '{"execute":"sto', '[[[{', '{"a":{"b":[1,');

describe('a thousand lines', () => {
  test('of garbage, incomplete and wrong JSON each get an error, and the service continues', async () => {
    const { app, address } = await hostileApp();
    const client = await negotiated(address);
    const line = fc.oneof(wrongType, unknownMember, wrongArguments, nested, garbage, cutShort);
    const lines = fc.sample(fc.oneof({ weight: 30, arbitrary: line }, huge, hugeName), { numRuns: 1000, seed: 20 });
    const before = heldBytes();
    for (const [index, text] of lines.entries()) {
      // The control character ends an incomplete value, and is an additional error before a complete one.
      client.send(`${text}\u0001\n{"execute":"query-name","id":${index}}\n`);
      let errors = 0;
      for (let answer = await client.next(); ; answer = await client.next()) {
        if (answer === null) throw new Error(`the connection was closed at ${text.slice(0, 100)}`);
        if (answer.id === index) {
          expect(answer.return).toEqual({ name: 'vm0' });
          break;
        }
        expect(answer.error, text.slice(0, 100)).toEqual({ class: expect.any(String), desc: expect.any(String) });
        errors += 1;
      }
      expect(errors, text.slice(0, 100)).toBeGreaterThan(0);
    }
    expect(app.domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(app.domain.jobs.list()).toEqual([]);
    // The compiled code of the first call is not released.
    expect(heldBytes() - before).toBeLessThan(8 * 2 ** 20);
  });

  test('of random bytes each get an error or no answer, and the next command is executed', async () => {
    const { address } = await hostileApp();
    const client = await negotiated(address);
    const chunks = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 300 }), { numRuns: 1000, seed: 21 });
    for (const [index, bytes] of chunks.entries()) {
      client.send(bytes);
      client.send(`\u0001\n{"execute":"query-name","id":"last-${index}"}\n`);
      let answer = await client.next();
      while (answer !== null && answer.id !== `last-${index}`) answer = await client.next();
      expect(answer).toEqual({ return: { name: 'vm0' }, id: `last-${index}` });
    }
  });
});

describe('the limits of a client', () => {
  test('a message that is too long is refused, and the connection is closed', async () => {
    const { address } = await hostileApp({ messageBytesMax: 1000, heldBytesMax: 1000 });
    const client = await negotiated(address);
    client.send(`{"execute":"${'x'.repeat(1000)}`);
    expect(await client.rest()).toMatchObject([{ error: { class: 'GenericError' } }]);
    expect(await connectQmp(address).next()).toHaveProperty('QMP');
  });

  test('a message with too many values is an error', async () => {
    const { address } = await hostileApp({ valuesMax: 100 });
    const client = await negotiated(address);
    client.send(`[${'1,'.repeat(100)}1]`);
    expect(await client.next()).toMatchObject({ error: { desc: expect.stringContaining('more than 100 values') } });
  });

  test('the memory of all clients is limited, and a client beyond the limit is disconnected', async () => {
    const { address } = await hostileApp({ messageBytesMax: 60_000, heldBytesMax: 100_000 });
    const [one, other] = [await negotiated(address), await negotiated(address)];
    one.send(`{"execute":"${'x'.repeat(55_000)}`);
    other.send(`{"execute":"${'x'.repeat(55_000)}`);
    expect(await Promise.race([one.rest(), other.rest()])).toEqual([]);
    expect(await connectQmp(address).next()).toHaveProperty('QMP');
  });

  test('a client beyond the limit is closed at once', async () => {
    const { address } = await hostileApp({ clientsMax: 1 });
    expect(await connectQmp(address).next()).toHaveProperty('QMP');
    expect(await connectQmp(address).rest()).toEqual([]);
  });

  test('a client that does not read is not read from, and is disconnected when too many events wait', async () => {
    const { app, address } = await hostileApp({ outputBytesMax: 10_000 });
    const [reader, silent] = [await negotiated(address), await negotiated(address)];
    silent.socket.pause();
    const asked = 100;
    silent.send('{"execute":"query-qmp-schema"}'.repeat(asked));
    for (let rounds = 0; rounds < 20; rounds++) {
      reader.send('{"execute":"stop"}{"execute":"cont"}');
      const messages = await reader.take(4);
      expect(messages.map((message) => message?.event ?? 'answer')).toEqual(['STOP', 'answer', 'RESUME', 'answer']);
    }
    silent.socket.resume();
    expect((await silent.rest()).length).toBeLessThan(asked);
    expect(app.domain.machine.status().running).toBe(true);
  });
});

describe('the memory', () => {
  test('of a message of 60 MiB is released', async () => {
    const { address } = await hostileApp();
    const client = await negotiated(address);
    const before = heldBytes();
    const piece = Buffer.alloc(2 ** 20, 'x');
    client.send('{"execute":"job-cancel","arguments":{"id":"');
    for (let count = 0; count < 60; count++) client.send(piece);
    client.send('"}}');
    expect(await client.next()).toMatchObject({ error: { class: 'GenericError' } });
    client.send('{"execute":"query-name"}');
    expect(await client.next()).toEqual({ return: { name: 'vm0' } });
    await expect.poll(() => heldBytes() - before).toBeLessThan(8 * 2 ** 20);
  });
});
