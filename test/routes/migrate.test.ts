import { describe, expect, test } from 'vitest';
import { ask, fakeApp } from '../helpers/app.ts';

const TCP = { uri: 'tcp:127.0.0.1:4444' };

describe('POST /migrate', () => {
  test('starts a migration and returns its location', async () => {
    const { server, outgoing } = await fakeApp();
    const reply = await ask(server, '/migrate', { body: TCP });
    expect(reply.status).toBe(202);
    expect(reply.json).toMatchObject({
      direction: 'outgoing',
      status: 'setup',
      uri: 'tcp:127.0.0.1:4444',
      error: null,
    });
    expect(reply.headers.location).toBe(`/migrations/${reply.json.id}`);
    expect((await ask(server, '/migrate')).json).toMatchObject({ status: 'setup' });
    expect(outgoing().plan.channels.main).toEqual({ transport: 'tcp', host: '127.0.0.1', port: 4444 });
  });

  test('is refused during a migration, which continues', async () => {
    const { server, outgoing } = await fakeApp();
    const { id } = (await ask(server, '/migrate', { body: TCP })).json;
    outgoing().step('active');
    const reply = await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:5555' } });
    expect(reply.status).toBe(409);
    expect(reply.json).toMatchObject({ code: 'migration_in_progress', 'qmp-class': 'GenericError' });
    expect(reply.json.detail).toContain(id);
    const capabilities = { capabilities: [{ capability: 'events', state: true }] };
    const change = await ask(server, '/migrate/capabilities', { method: 'PATCH', body: capabilities });
    expect(change.json).toMatchObject({ status: 409, code: 'migration_in_progress' });
    expect(change.json.detail).toContain(id);
    expect((await ask(server, '/migrate')).json).toMatchObject({ status: 'active' });
    expect((await ask(server, '/migrations')).json).toMatchObject({ migrations: [expect.anything()] });
  });

  test('with Prefer: wait answers at the end of the migration', async () => {
    const { server, outgoing } = await fakeApp();
    const pending = ask(server, '/migrate', { body: TCP, headers: { prefer: 'respond-async, wait=30' } });
    await expect.poll(() => outgoing()?.status.read()).toBe('setup');
    outgoing().step('active');
    outgoing().finish('failed', { code: 'peer_reset', message: 'the peer reset the connection' });
    const reply = await pending;
    expect(reply.status).toBe(200);
    expect(reply.headers['preference-applied']).toBe('wait=30');
    expect(reply.json).toMatchObject({ status: 'failed', error: { code: 'peer_reset' }, guest: 'here' });
  });

  test('with Prefer: wait answers 202 at the time-out', async () => {
    const { server } = await fakeApp();
    const reply = await ask(server, '/migrate', { body: TCP, headers: { prefer: 'wait=0' } });
    expect([reply.status, reply.headers['preference-applied']]).toEqual([202, 'wait=0']);
  });

  test.each(['wait=-1', 'wait=soon', 'wait', 'wait=1.5', 'return=minimal', ''])(
    'ignores the preference "%s"',
    async (prefer) => {
      const { server } = await fakeApp();
      const reply = await ask(server, '/migrate', { body: TCP, headers: { prefer } });
      expect([reply.status, reply.headers['preference-applied']]).toEqual([202, undefined]);
    },
  );

  test.each([
    [{}, 422, 'uri_or_channels'],
    [{ uri: 'tcp:127.0.0.1:1', channels: [] }, 422, 'uri_or_channels'],
    [{ uri: 'pigeon:home' }, 422, 'invalid_address'],
    [{ uri: 'exec:cat > /tmp/x' }, 403, 'exec_not_allowed'],
    [{ uri: 'file:/etc/passwd' }, 403, 'file_outside_root'],
    [{ uri: 'file:../../x' }, 403, 'file_outside_root'],
    [{ uri: 'file:x,offset=-1' }, 422, 'invalid_address'],
    [{ uri: 'file:x,offset=0x20M' }, 422, 'invalid_address'],
    [{ uri: 'tcp:127.0.0.1:65536' }, 422, 'invalid_address'],
    [{ uri: 'rdma:host:1' }, 501, 'transport_not_available'],
    [{ uri: 1 }, 400, 'wrong_type'],
    [{ url: 'tcp:127.0.0.1:1' }, 400, 'unknown_member'],
  ])('with %j is refused with %i, and nothing starts', async (body, status, code) => {
    const { server, outgoing } = await fakeApp();
    const reply = await ask(server, '/migrate', { body });
    expect([reply.status, reply.json.code]).toEqual([status, code]);
    expect(outgoing()).toBeUndefined();
    expect((await ask(server, '/migrations')).json).toEqual({ migrations: [], next: null });
  });
});

describe('POST /migrate/cancel', () => {
  test('reports that there is nothing to cancel', async () => {
    const { server } = await fakeApp();
    expect((await ask(server, '/migrate/cancel', { method: 'POST' })).json).toEqual({ outcome: 'nothing-to-cancel' });
  });

  test('answers two callers and a late third one alike', async () => {
    const { server, outgoing } = await fakeApp();
    await ask(server, '/migrate', { body: TCP });
    outgoing().step('active');
    const pending = [1, 2].map(() => ask(server, '/migrate/cancel', { method: 'POST' }));
    await expect.poll(() => outgoing().status.read()).toBe('cancelling');
    outgoing().letGo();
    for (const reply of await Promise.all(pending)) expect(reply.json).toEqual({ outcome: 'cancelled' });
    expect((await ask(server, '/migrate/cancel', { body: {} })).json).toEqual({ outcome: 'cancelled' });
  });

  test('of a completed migration is refused', async () => {
    const { server, outgoing } = await fakeApp();
    await ask(server, '/migrate', { body: TCP });
    for (const status of ['active', 'device'] as const) outgoing().step(status);
    outgoing().finish('completed');
    await expect.poll(async () => (await ask(server, '/status')).json.status).toBe('postmigrate');
    expect((await ask(server, '/migrate/cancel', { method: 'POST' })).json).toEqual({ outcome: 'already-completed' });
  });

  test('accepts no arguments', async () => {
    const { server } = await fakeApp();
    const reply = await ask(server, '/migrate/cancel', { body: { force: true } });
    expect([reply.status, reply.json.code]).toEqual([400, 'unknown_member']);
  });
});

describe('other operations of a migration', () => {
  test('continue leaves pre-switchover, and is refused in other states', async () => {
    const { server, outgoing } = await fakeApp();
    const body = { state: 'pre-switchover' };
    expect((await ask(server, '/migrate/continue', { body })).status).toBe(409);
    await ask(server, '/migrate', { body: TCP });
    for (const status of ['active', 'pre-switchover'] as const) outgoing().step(status);
    expect((await ask(server, '/migrate/continue', { body })).status).toBe(200);
    expect(outgoing().continued).toBe(1);
  });

  test('a destination listens, and reports its address', async () => {
    const { server, incoming } = await fakeApp({ flags: ['--incoming', 'defer'] });
    const pending = ask(server, '/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
    await expect.poll(() => incoming()).toBeDefined();
    incoming().listen({ transport: 'tcp', host: '127.0.0.1', port: 4711 });
    expect((await pending).status).toBe(202);
    expect((await ask(server, '/migrate')).json).toMatchObject({
      status: 'setup',
      'socket-address': [{ type: 'inet', host: '127.0.0.1', port: '4711' }],
    });
  });

  test('a used port is a conflict, and the destination accepts another address', async () => {
    const { server, incoming } = await fakeApp({ flags: ['--incoming', 'defer'] });
    const pending = ask(server, '/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:80' } });
    await expect.poll(() => incoming()).toBeDefined();
    incoming().cannotListen({ code: 'address_in_use', message: 'in use' });
    expect((await pending).json).toMatchObject({ status: 409, code: 'address_in_use' });
    expect((await ask(server, '/migrations')).json).toEqual({ migrations: [], next: null });
  });

  test('progress is answered before and during a migration', async () => {
    const { server, outgoing } = await fakeApp();
    expect((await ask(server, '/migrate/progress')).json).toMatchObject({ status: 'none', verdict: null });
    await ask(server, '/migrate', { body: TCP });
    outgoing().step('active');
    expect((await ask(server, '/migrate/progress')).json).toMatchObject({ status: 'active' });
  });

  test('a blocker forbids a migration until it is removed', async () => {
    const { server } = await fakeApp();
    const added = await ask(server, '/migrate/blockers', { body: { reason: 'A backup is being made.' } });
    expect(added.status).toBe(201);
    const place = String(added.headers.location);
    expect((await ask(server, '/migrate/blockers')).json).toEqual({ blockers: [added.json], 'only-migratable': false });
    expect((await ask(server, '/migrate', { body: TCP })).json).toMatchObject({
      status: 409,
      code: 'migration_blocked',
    });
    expect((await ask(server, place, { method: 'DELETE' })).status).toBe(204);
    expect((await ask(server, place, { method: 'DELETE' })).json).toMatchObject({
      status: 404,
      code: 'blocker_not_found',
    });
    expect((await ask(server, '/migrate', { body: TCP })).status).toBe(202);
  });
});
