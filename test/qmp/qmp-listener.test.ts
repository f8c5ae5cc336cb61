import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { fakeApp, temporaryDirectory } from '../helpers/app.ts';
import { connectQmp, negotiated, qmpAddress } from '../helpers/qmp-client.ts';
import { crashedSocket } from '../helpers/stale-socket.ts';

async function unixApp() {
  const path = join(temporaryDirectory(), 'qmp');
  const app = await fakeApp({ flags: ['--qmp', `unix:${path}`] });
  return { app, path, address: await qmpAddress(app) };
}

describe('a session', () => {
  test('begins with the greeting, and refuses commands before the negotiation', async () => {
    const { address } = await unixApp();
    const client = connectQmp(address);
    client.send('{"execute":"query-status","id":1}{"execute":"nonsense"}{"execute":"qmp_capabilities","id":2}');
    client.send('{"execute":"qmp_capabilities","id":3}');
    expect(await client.take(5)).toMatchObject([
      { QMP: { version: { qemu: { major: 10, minor: 0, micro: expect.any(Number) } }, capabilities: ['oob'] } },
      { id: 1, error: { class: 'CommandNotFound' } },
      { error: { class: 'CommandNotFound' } },
      { return: {}, id: 2 },
      { id: 3, error: { class: 'CommandNotFound' } },
    ]);
  });

  test.each([
    ['[1]', 'GenericError'],
    ['{}', 'GenericError'],
    ['{"execute":5}', 'GenericError'],
    ['{"execute":"query-name","arguments":[]}', 'GenericError'],
    ['{"execute":"query-name","arguments":{"a":1}}', 'GenericError'],
    ['{"execute":"query-name","control":{"run-oob":true}}', 'GenericError'],
    ['{"execute":"query-name","exec-oob":"query-name"}', 'GenericError'],
    ['{"exec-oob":"migrate-pause"}', 'GenericError'],
    ['{"execute":"migrate-start-postcopy"}', 'GenericError'],
    ['{"execute":"migrate-recover","arguments":{"uri":"tcp:127.0.0.1:0"}}', 'GenericError'],
    ['{"execute":"job-cancel","arguments":{"id":"x"}}', 'GenericError'],
    ['{"execute":"nope"}', 'CommandNotFound'],
    ['{"execute":"constructor"}', 'CommandNotFound'],
  ])('%s is answered with %s', async (text, errorClass) => {
    const { address } = await unixApp();
    const client = await negotiated(address);
    client.send(text);
    expect(await client.next()).toEqual({ error: { class: errorClass, desc: expect.stringMatching(/\w/) } });
  });

  test('executes out-of-band commands after their negotiation', async () => {
    const { address } = await unixApp();
    const client = await negotiated(address, ['oob']);
    client.send('{"exec-oob":"migrate-pause","id":1}{"exec-oob":"query-status","id":2}{"exec-oob":"nope","id":3}');
    const answers = await client.take(3);
    expect(answers).toMatchObject([
      { id: 1, error: { class: 'GenericError', desc: expect.stringContaining('postcopy') } },
      { id: 2, error: { class: 'GenericError', desc: expect.stringContaining('out of band') } },
      { id: 3, error: { class: 'CommandNotFound' } },
    ]);
  });

  test('answers an out-of-band command before waiting commands, which keep their order', async () => {
    const path = join(temporaryDirectory(), 'qmp');
    const app = await fakeApp({ flags: ['--qmp', `unix:${path}`, '--incoming', 'defer'] });
    const client = await negotiated(await qmpAddress(app), ['oob']);
    // The answer follows when this test binds the address.
    client.send('{"execute":"migrate-incoming","arguments":{"uri":"tcp:127.0.0.1:4444"},"id":1}');
    client.send('{"execute":"query-name","id":2}{"exec-oob":"migrate-pause","id":3}');
    client.send('{"exec-oob":"migrate-recover","arguments":{"uri":"tcp:127.0.0.1:4445"},"id":4}');
    expect((await client.take(2)).map((answer) => answer?.id)).toEqual([3, 4]);
    app.incoming().listen();
    expect(await client.take(2)).toMatchObject([
      { id: 1, return: {} },
      { id: 2, return: { name: 'vm0' } },
    ]);
  });

  test('answers in the order of the commands, with their ids', async () => {
    const { address } = await unixApp();
    const client = await negotiated(address);
    const ids = Array.from({ length: 100 }, (_, index) => index);
    client.send(ids.map((id) => JSON.stringify({ execute: id % 2 === 0 ? 'query-jobs' : 'query-name', id })).join(''));
    expect((await client.take(100)).map((answer) => answer?.id)).toEqual(ids);
  });

  test('keeps 64-bit parameters of a migration exactly, and accepts aliases', async () => {
    const { address } = await unixApp();
    const client = await negotiated(address);
    client.send('{"execute":"migrate-set-parameters","arguments":{"max-bandwidth":18446744073709551615}}');
    client.send('{"execute":"query-migrate-parameters"}');
    const [set, query] = await client.take(2);
    expect(set).toEqual({ return: {} });
    expect(query).toMatchObject({ return: { 'max-bandwidth': 2 ** 64 } });
    client.send('{"execute":"migrate_set_speed","arguments":{"value":1000000}}');
    client.send('{"execute":"migrate_set_downtime","arguments":{"value":0.5}}');
    client.send('{"execute":"migrate-set-cache-size","arguments":{"value":8388608}}');
    client.send('{"execute":"query-migrate-cache-size"}{"execute":"query-migrate-parameters"}');
    client.send('{"execute":"migrate_set_downtime","arguments":{"value":1e400}}');
    expect(await client.take(6)).toMatchObject([
      { return: {} },
      { return: {} },
      { return: {} },
      { return: 8388608 },
      { return: { 'max-bandwidth': 1000000, 'downtime-limit': 500, 'xbzrle-cache-size': 8388608 } },
      { error: { class: 'GenericError' } },
    ]);
  });
});

describe('human-monitor-command', () => {
  test('returns the text that a terminal would show', async () => {
    const { address } = await unixApp();
    const client = await negotiated(address);
    const line = (text: string, more = {}) =>
      client.send(JSON.stringify({ execute: 'human-monitor-command', arguments: { 'command-line': text, ...more } }));
    line('info status');
    line('nope');
    line('info status', { 'cpu-index': 7 });
    line('migrate tcp:127.0.0.1:1');
    expect(await client.take(4)).toEqual([
      { return: 'VM status: running\r\n' },
      { return: expect.stringContaining("unknown command: 'nope'") },
      { error: { class: 'GenericError', desc: expect.stringContaining('cpu-index') } },
      { return: expect.stringContaining('The migration continues') },
    ]);
  });
});

describe('events', () => {
  test('reach every client that has negotiated, before the answer to their command', async () => {
    const { address } = await unixApp();
    const [one, other, silent] = [await negotiated(address), await negotiated(address), connectQmp(address)];
    await silent.next();
    one.send('{"execute":"stop"}{"execute":"cont"}');
    const timestamp = { seconds: expect.any(Number), microseconds: expect.any(Number) };
    const [stop, resume] = ['STOP', 'RESUME'].map((event) => ({ event, timestamp }));
    expect(await one.take(4)).toEqual([stop, { return: {} }, resume, { return: {} }]);
    expect(await other.take(2)).toEqual([stop, resume]);
    silent.send('{"execute":"qmp_capabilities"}');
    expect(await silent.next()).toEqual({ return: {} });
  });
});

describe('the audit trail', () => {
  test('records that a command came over a QMP socket', async () => {
    const { address } = await unixApp();
    const client = await negotiated(address);
    client.send('{"execute":"migrate_cancel"}{"execute":"x-ferry-query-audit"}');
    const [, trail] = await client.take(2);
    expect(trail?.return).toMatchObject({
      audit: [{ door: 'qmp', caller: 'owner', command: 'migrate_cancel', outcome: 'succeeded' }],
    });
  });
});

describe('the socket', () => {
  test('is accessible to its owner only, and removed when the service closes', async () => {
    const { app, path } = await unixApp();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await app.close();
    expect(existsSync(path)).toBe(false);
  });

  test('of a killed service is replaced, and a socket with a listener or another file is not', async () => {
    const { path, address } = await unixApp();
    const other = await fakeApp({ flags: ['--qmp', address] });
    await expect(other.listenQmp()).rejects.toThrow(
      'another process listens there; stop it, or choose another address',
    );
    expect(await connectQmp(address).next()).toHaveProperty('QMP');
    const file = `${path}.txt`;
    writeFileSync(file, 'kept');
    const third = await fakeApp({ flags: ['--qmp', `unix:${file}`] });
    await expect(third.listenQmp()).rejects.toThrow('a file that is not a socket has that path; move it away');
    const nowhere = await fakeApp({ flags: ['--qmp', `unix:${path}-none/qmp`] });
    await expect(nowhere.listenQmp()).rejects.toThrow('its directory does not exist');
    const stale = crashedSocket(temporaryDirectory());
    const fourth = await fakeApp({ flags: ['--qmp', `unix:${stale}`] });
    expect(await connectQmp(await qmpAddress(fourth)).next()).toHaveProperty('QMP');
  });

  test('of TCP disconnects a client that does not begin with JSON, such as a browser', async () => {
    const app = await fakeApp({ flags: ['--qmp', 'tcp:127.0.0.1:0'] });
    const client = connectQmp(await qmpAddress(app));
    client.send('POST / HTTP/1.1\r\nHost: x\r\n\r\n{"execute":"qmp_capabilities"}{"execute":"stop"}');
    expect(await client.rest()).toMatchObject([{ QMP: {} }, { error: { class: 'GenericError' } }]);
    expect(app.domain.machine.status().running).toBe(true);
  });

  test('still answers a client that has closed its sending side', async () => {
    const { address } = await unixApp();
    const client = connectQmp(address);
    client.socket.end('{"execute":"qmp_capabilities"}{"execute":"query-name"}');
    expect(await client.rest()).toMatchObject([{ QMP: {} }, { return: {} }, { return: { name: 'vm0' } }]);
  });

  test('sends each message as one line that ends with CR LF', async () => {
    const { path } = await unixApp();
    const socket = connect(path);
    socket.end('{"execute":"qmp_capabilities"}{"execute":"query-name"}');
    const lines = (await text(socket)).split('\r\n');
    expect(lines).toEqual([expect.stringContaining('"QMP"'), '{"return":{}}', '{"return":{"name":"vm0"}}', '']);
  });

  test('sends SHUTDOWN at quit, answers, and requests the end of the process', async () => {
    const { app, address } = await unixApp();
    const client = await negotiated(address);
    client.send('{"execute":"quit"}');
    expect(await client.take(2)).toMatchObject([
      { event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } },
      { return: {} },
    ]);
    await app.close();
    expect(await client.rest()).toEqual([]);
  });
});
