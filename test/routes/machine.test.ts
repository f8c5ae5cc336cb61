import { describe, expect, test } from 'vitest';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, fakeApp, startApp, testConfig } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

describe('a synthetic guest', () => {
  /** Each test leaves it running. */
  const guest = shared(() =>
    startApp(testConfig(['--ram', '8M', '--workload', 'rate=0,span=1M', '--name', 'guest one'])),
  );

  test('is described with its activity', async () => {
    const { server } = guest();
    const { json } = await ask(server, '/machine');
    expect(json).toMatchObject({ kind: 'synthetic', name: 'guest one', vcpus: 1, panic: null });
    expect(json['ram-blocks']).toEqual([{ name: 'ferry.ram', size: 8 * 2 ** 20 }]);
    expect(json.workload).toMatchObject({ rate: 0, span: 2 ** 20, pattern: 'hot' });
    for (const name of ['ticks', 'pages-checked', 'pages-written']) expect(json[name]).toEqual(expect.any(Number));
  });

  test('stops and resumes', async () => {
    const { server } = guest();
    expect((await ask(server, '/stop', { method: 'POST' })).json).toEqual({ running: false, status: 'paused' });
    expect((await ask(server, '/status')).json).toEqual({ running: false, status: 'paused' });
    expect((await ask(server, '/cont', { method: 'POST' })).json).toEqual({ running: true, status: 'running' });
  });

  test('that was started with --paused waits for cont', async () => {
    const { server } = await startApp(testConfig(['--ram', '8M', '--paused']));
    expect((await ask(server, '/status')).json).toEqual({ running: false, status: 'prelaunch' });
    expect((await ask(server, '/cont', { method: 'POST' })).json).toEqual({ running: true, status: 'running' });
  });

  test('has its console as text', async () => {
    const { server } = guest();
    const reply = await ask(server, '/machine/console');
    expect([reply.status, reply.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
  });

  test('accepts a new workload while it runs', async () => {
    const { server } = guest();
    const reply = await ask(server, '/machine/workload', { method: 'PATCH', body: { rate: 4096, pattern: 'seq' } });
    expect(reply.json).toMatchObject({ rate: 4096, pattern: 'seq' });
    expect((await ask(server, '/machine')).json.workload).toMatchObject({ rate: 4096, pattern: 'seq' });
  });

  test.each([
    [{ rate: -1 }, 422],
    [{ span: 2 ** 40 }, 422],
    [{ pattern: 'zigzag' }, 422],
    [{ rate: 2 ** 41 }, 422],
    [{ rate: '1' }, 400],
    [{ speed: 1 }, 400],
  ])('refuses a workload with %j and keeps the present one', async (body, status) => {
    const { server } = guest();
    const before = (await ask(server, '/machine')).json.workload;
    expect((await ask(server, '/machine/workload', { method: 'PATCH', body })).status).toBe(status);
    expect((await ask(server, '/machine')).json.workload).toEqual(before);
  });
});

describe('an image', () => {
  test('has no vCPU, no console and no workload', async () => {
    const { server } = await fakeApp({ machine: new FakeMachine('image') });
    expect((await ask(server, '/machine')).json).toEqual({
      kind: 'image',
      name: 'vm0',
      uuid: expect.any(String),
      'ram-blocks': [],
      vcpus: 0,
    });
    expect((await ask(server, '/cont', { method: 'POST' })).json).toMatchObject({
      status: 409,
      code: 'machine_cannot_run',
    });
    expect((await ask(server, '/machine/console')).json).toMatchObject({ status: 404, code: 'no_console' });
    const body = { rate: 0 };
    const workload = await ask(server, '/machine/workload', { method: 'PATCH', body });
    expect(workload.json).toMatchObject({ status: 409, code: 'no_workload' });
    expect((await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } })).status).toBe(409);
  });
});
