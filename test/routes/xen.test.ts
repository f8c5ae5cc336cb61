import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ask, fakeApp, temporaryDirectory } from '../helpers/app.ts';
import { startService } from '../helpers/service.ts';

const FILE = { filename: 'sub/devices.bin' };

describe('device states over HTTP', () => {
  test('a real guest continues from its own device state, and a load is refused while it runs', async () => {
    const fileRoot = temporaryDirectory();
    mkdirSync(join(fileRoot, 'sub'));
    const { app } = await startService(['--ram', '16M', '--workload', 'rate=1M,span=8M', '--file-root', fileRoot]);
    const post = (path: string, body?: object) => ask(app.server, path, { method: 'POST', ...(body && { body }) });
    const refused = await post('/xen/load-devices-state', FILE);
    expect(refused.json).toMatchObject({ status: 409, code: 'machine_running' });
    await post('/stop');
    const saved = await post('/xen/save-devices-state', FILE);
    const bytes = readFileSync(join(fileRoot, FILE.filename));
    expect(saved.json).toEqual({ filename: FILE.filename, bytes: bytes.length, sections: 7 });
    const { json: before } = await ask(app.server, '/machine');
    expect((await post('/xen/load-devices-state', FILE)).json).toEqual({});
    expect((await ask(app.server, '/machine')).json).toEqual(before);
    await post('/cont');
    const ticks = async () => Number((await ask(app.server, '/machine')).json.ticks);
    await expect.poll(ticks).toBeGreaterThan(Number(before.ticks) + 1);
    expect((await ask(app.server, '/machine')).json.panic).toBeNull();
    const running = await post('/xen/save-devices-state', { ...FILE, live: false });
    expect(running.status).toBe(200);
    expect((await ask(app.server, '/status')).json).toEqual({ running: true, status: 'running' });
  });

  test.each([
    [{ filename: '/etc/passwd' }, 403, 'file_outside_root'],
    [{ filename: '../x' }, 403, 'file_outside_root'],
    [{ filename: 'link' }, 422, 'not_a_plain_file'],
    [{ filename: '' }, 422, 'invalid_address'],
    [{ filename: 'no/x' }, 404, 'no_such_file'],
    [{}, 400, 'missing_member'],
    [{ filename: 1 }, 400, 'wrong_type'],
    [{ filename: 'x', liv: true }, 400, 'unknown_member'],
  ])('%j is refused with %i %s, at a save and at a load', async (body, status, code) => {
    const fileRoot = temporaryDirectory();
    symlinkSync('/etc/passwd', join(fileRoot, 'link'));
    const { server } = await fakeApp({ flags: ['--paused', '--file-root', fileRoot] });
    for (const verb of ['save', 'load']) {
      expect((await ask(server, `/xen/${verb}-devices-state`, { body })).json).toMatchObject({ status, code });
    }
  });
});

describe('COLO and replication over HTTP', () => {
  test('are answered as without replication', async () => {
    const { server } = await fakeApp();
    expect((await ask(server, '/colo')).json).toEqual({ mode: 'none', 'last-mode': 'none', reason: 'none' });
    const lost = await ask(server, '/colo/lost-heartbeat', { method: 'POST' });
    expect(lost.json).toMatchObject({ status: 409, code: 'not_in_colo', 'qmp-class': 'GenericError' });
    const wrong = { enable: true, primary: true, failover: true };
    expect((await ask(server, '/xen/set-replication', { body: wrong })).json).toMatchObject({
      status: 422,
      code: 'incompatible_parameters',
      errors: [{ pointer: '/failover' }],
    });
    const right = { enable: true, primary: true };
    expect((await ask(server, '/xen/set-replication', { body: right })).json).toEqual({ error: false });
    expect((await ask(server, '/xen/replication-status')).json).toEqual({ error: false });
    expect((await ask(server, '/xen/colo-do-checkpoint', { method: 'POST' })).json).toEqual({ error: false });
    expect((await ask(server, '/xen/set-global-dirty-log', { body: { enable: true } })).json).toEqual({});
  });
});
