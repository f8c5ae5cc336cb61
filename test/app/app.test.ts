import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createApp } from '../../src/app.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, fakeApp, listen, startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { testInSoak } from '../helpers/combinations.ts';

const fakes = () => ({ engine: new FakeEngine(), machine: new FakeMachine() });

describe('an app', () => {
  test('keeps its uuid and its settings over a restart', async () => {
    const directory = temporaryDirectory();
    const first = await startApp(testConfig([], directory), fakes());
    const { uuid } = (await ask(first.server, '/machine')).json;
    await ask(first.server, '/migrate/parameters', { method: 'PATCH', body: '{"max-bandwidth":18446744073709551615}' });
    await first.close();
    const second = await startApp(testConfig([], directory), fakes());
    expect((await ask(second.server, '/machine')).json.uuid).toBe(uuid);
    expect((await ask(second.server, '/migrate/parameters')).text).toContain('18446744073709551615');
  });

  test('stores a given uuid, and keeps it over later restarts', async () => {
    const directory = temporaryDirectory();
    const uuid = '8c6b7a5e-3f0d-4f35-9d3c-0d5f7f0a1b2c';
    await (await startApp(testConfig(['--uuid', uuid], directory), fakes())).close();
    const { server } = await startApp(testConfig([], directory), fakes());
    expect((await ask(server, '/machine')).json.uuid).toBe(uuid);
  });

  test('can be closed twice at the same time and once more later', async () => {
    const app = await startApp(testConfig(), fakes());
    await Promise.all([app.close(), app.close()]);
    await app.close();
  });

  test('closes idle connections and connections with a half-sent request', async () => {
    const app = await fakeApp({ limits: { closeGraceMs: 10 } });
    const port = await listen(app.server);
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /status HTTP/1.1\r\nHost: localhost\r\n\r\nGET /sta');
    await new Promise((resolve) => socket.once('data', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await app.close();
    await closed;
  });

  test('releases the data directory if it cannot start', async () => {
    const directory = temporaryDirectory();
    const wrong = testConfig(['--set', 'downtime-limit=never'], directory);
    await expect(createApp(wrong, fakes())).rejects.toThrow(/downtime-limit/);
    await startApp(testConfig([], directory), fakes());
  });

  test('does not start on a data directory that is in use, nor on a file', async () => {
    const config = testConfig();
    await startApp(config, fakes());
    await expect(createApp(config, fakes())).rejects.toMatchObject({ code: 'data_directory_in_use' });
    const file = join(temporaryDirectory(), 'file');
    writeFileSync(file, '');
    await expect(createApp(testConfig([], file), fakes())).rejects.toMatchObject({ code: 'data_directory_unusable' });
  });

  test('is not ready after its database or its data directory was removed', async () => {
    const directory = join(temporaryDirectory(), 'data');
    mkdirSync(directory);
    const { server } = await startApp(testConfig([], directory), fakes());
    expect((await ask(server, '/readyz')).status).toBe(200);
    rmSync(join(directory, 'vmferry.db'));
    const said = `${join(directory, 'vmferry.db')} cannot be used: ENOENT`;
    expect((await ask(server, '/readyz')).json).toMatchObject({ ready: false, checks: { data: said } });
    rmSync(directory, { recursive: true });
    const reply = await ask(server, '/readyz');
    expect(reply.status).toBe(503);
    expect(reply.json).toMatchObject({ ready: false, checks: { data: expect.stringContaining('ENOENT') } });
    expect((await ask(server, '/healthz')).status).toBe(200);
    expect(existsSync(directory)).toBe(false);
  });

  testInSoak('listens at once if it is started with an address', async () => {
    const { server } = await startApp(testConfig(['--ram', '8M', '--incoming', 'tcp:127.0.0.1:0']));
    expect((await ask(server, '/status')).json).toEqual({ running: false, status: 'inmigrate' });
    expect((await ask(server, '/migrate')).json).toMatchObject({
      'socket-address': [{ type: 'inet', host: '127.0.0.1' }],
    });
  });

  test('cannot listen on a used port or on an address of another host, and then accepts another address', async () => {
    const taken = await startApp(testConfig(), fakes());
    const port = await listen(taken.server);
    const { server } = await startApp(testConfig(['--ram', '8M', '--incoming', 'defer']));
    const incoming = (uri: string) => ask(server, '/migrate/incoming', { body: { uri } });
    expect((await incoming(`tcp:127.0.0.1:${port}`)).json).toMatchObject({ status: 409, code: 'address_in_use' });
    expect((await incoming('tcp:192.0.2.1:0')).json).toMatchObject({ status: 422, code: 'address_not_available' });
    expect((await incoming('tcp:127.0.0.1:0')).status).toBe(202);
    expect((await incoming('tcp:127.0.0.1:0')).json).toMatchObject({ status: 409, code: 'migration_in_progress' });
  });

  // QEMU scenario: /migration/bad_dest
  test('reports a failed migration if the peer refuses the connection, and the guest keeps running', async () => {
    const { server } = await startApp(testConfig(['--ram', '8M']));
    const headers = { prefer: 'wait=20' };
    const reply = await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' }, headers });
    expect(reply.json).toMatchObject({ status: 'failed', error: { code: 'connection_refused' }, guest: 'here' });
    expect((await ask(server, '/migrate')).json).toMatchObject({ status: 'failed', 'error-desc': expect.any(String) });
    expect((await ask(server, '/status')).json.running).toBe(true);
  });

  testInSoak('moves a guest to another app over TCP', async () => {
    const flags = ['--ram', '8M', '--workload', 'rate=1M,span=1M'];
    const target = await startApp(testConfig([...flags, '--incoming', 'defer']));
    const source = await startApp(testConfig([...flags, '--set', 'max-bandwidth=0']));
    await ask(target.server, '/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
    const listening = (await ask(target.server, '/migrate')).json['socket-address'] as { port: string }[];
    const body = { uri: `tcp:127.0.0.1:${listening[0]?.port}` };
    const done = await ask(source.server, '/migrate', { body, headers: { prefer: 'wait=20' } });
    expect(done.json).toMatchObject({ status: 'completed', guest: 'there' });
    expect((await ask(source.server, '/status')).json.status).toBe('postmigrate');
    await expect.poll(async () => (await ask(target.server, '/status')).json.status).toBe('running');
    expect((await ask(target.server, '/machine')).json.panic).toBeNull();
  });
});
