import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';
import { faultOfAnswer } from '../helpers/fuzzed-app.ts';
import { localService } from '../helpers/guest-service.ts';

const MIB = 2 ** 20;

async function ringApp(): Promise<FakeApp> {
  const machine = new FakeMachine();
  machine.dirty.ringEntries = 4096;
  machine.vcpus = 2;
  return fakeApp({ machine });
}

describe('POST /dirty-rate', () => {
  test('starts a measurement, with the location of its result', async () => {
    const { server, machine } = await fakeApp();
    const begun = await ask(server, '/dirty-rate', { body: { 'calc-time': 2, 'sample-pages': 128 } });
    expect([begun.status, begun.headers.location]).toEqual([202, '/dirty-rate']);
    expect(begun.json).toMatchObject({ status: 'measuring', 'calc-time': 2, 'sample-pages': 128 });
    expect((await ask(server, '/dirty-rate')).json).toEqual(begun.json);
    machine.dirty.found({ elapsedMs: 2000, bytes: 10 * MIB, bytesByVcpu: [] });
    const measured = await ask(server, '/dirty-rate?calc-time-unit=millisecond');
    expect(measured.json).toMatchObject({ status: 'measured', 'dirty-rate': 5, 'calc-time': 2000 });
  });

  test('with Prefer: wait answers at the end of the measurement', async () => {
    const { server, machine } = await fakeApp();
    const body = { 'calc-time': 500, 'calc-time-unit': 'millisecond' };
    const waiting = ask(server, '/dirty-rate', { body, headers: { prefer: 'wait=60' } });
    await expect.poll(() => machine.dirty.plans.length).toBe(1);
    machine.dirty.found({ elapsedMs: 501, bytes: MIB, bytesByVcpu: [] });
    const reply = await waiting;
    expect([reply.status, reply.headers['preference-applied']]).toEqual([200, 'wait=60']);
    expect(reply.json).toMatchObject({ status: 'measured', 'dirty-rate': 2, 'calc-time': 501 });
  });

  test('with Prefer: wait answers with the present state at the time-out', async () => {
    const { server } = await fakeApp();
    const reply = await ask(server, '/dirty-rate', { body: { 'calc-time': 9 }, headers: { prefer: 'wait=0' } });
    expect([reply.status, reply.json.status]).toEqual([202, 'measuring']);
  });

  test('is refused during a measurement', async () => {
    const { server } = await fakeApp();
    await ask(server, '/dirty-rate', { body: { 'calc-time': 1 } });
    const refused = await ask(server, '/dirty-rate', { body: { 'calc-time': 1 } });
    expect(refused.json).toMatchObject({ status: 409, code: 'dirty_rate_measuring' });
  });

  test.each([
    [{}, 400, 'missing_member'],
    [{ 'calc-time': '1' }, 400, 'wrong_type'],
    [{ 'calc-time': 1, unit: 'second' }, 400, 'unknown_member'],
    [{ 'calc-time': 1, 'calc-time-unit': 'hour' }, 422, 'value_out_of_range'],
    [{ 'calc-time': 1, mode: 'guess' }, 422, 'value_out_of_range'],
    [{ 'calc-time': 61 }, 422, 'value_out_of_range'],
    [{ 'calc-time': 1, 'sample-pages': 512, mode: 'dirty-bitmap' }, 422, 'incompatible_parameters'],
    [{ 'calc-time': 1, mode: 'dirty-ring' }, 409, 'dirty_ring_needed'],
  ])('with %j is refused, and nothing is measured', async (body, status, code) => {
    const { server, machine } = await fakeApp();
    expect((await ask(server, '/dirty-rate', { body })).json).toMatchObject({ status, code });
    expect((await ask(server, '/dirty-rate')).json).toMatchObject({ status: 'unstarted' });
    expect(machine.dirty.plans).toEqual([]);
  });

  test('with several invalid members reports all of them', async () => {
    const { server } = await fakeApp();
    const { json } = await ask(server, '/dirty-rate', { body: { 'calc-time': 0, 'sample-pages': 1, more: true } });
    const pointers = (json.errors as { pointer: string }[]).map(({ pointer }) => pointer).sort();
    expect([json.code, pointers]).toEqual(['unknown_member', ['/calc-time', '/more', '/sample-pages']]);
  });
});

describe('/vcpu-dirty-limit', () => {
  test('is set, shown and removed, for one vCPU or for all', async () => {
    const { server, machine } = await ringApp();
    const one = await ask(server, '/vcpu-dirty-limit?cpu-index=1', { method: 'PUT', body: { 'dirty-rate': 50 } });
    const limit = { 'cpu-index': 1, 'limit-rate': 50, 'current-rate': 0 };
    expect([one.status, one.json]).toEqual([200, [limit]]);
    await ask(server, '/vcpu-dirty-limit', { method: 'PUT', body: { 'dirty-rate': 60 } });
    expect([...machine.dirty.limits.values()]).toEqual([60, 60]);
    const shown = await ask(server, '/vcpu-dirty-limit?cpu-index=1');
    expect([shown.status, shown.json]).toEqual([200, [{ ...limit, 'limit-rate': 60 }]]);
    expect((await ask(server, '/vcpu-dirty-limit?cpu-index=2')).json).toMatchObject({ code: 'value_out_of_range' });
    const left = await ask(server, '/vcpu-dirty-limit?cpu-index=1', { method: 'DELETE' });
    expect([left.status, left.json]).toEqual([200, [{ ...limit, 'cpu-index': 0, 'limit-rate': 60 }]]);
    expect((await ask(server, '/vcpu-dirty-limit', { method: 'DELETE' })).json).toEqual([]);
    expect((await ask(server, '/vcpu-dirty-limit')).json).toEqual([]);
  });

  test.each([
    ['?cpu-index=2', { 'dirty-rate': 1 }, 422, 'value_out_of_range'],
    ['?cpu-index=first', { 'dirty-rate': 1 }, 400, 'wrong_type'],
    ['', { 'dirty-rate': -1 }, 422, 'value_out_of_range'],
    ['', {}, 400, 'missing_member'],
    ['', { 'dirty-rate': 1.5 }, 400, 'wrong_type'],
  ])('refuses PUT %s with %j, and nothing is limited', async (query, body, status, code) => {
    const { server, machine } = await ringApp();
    const refused = await ask(server, `/vcpu-dirty-limit${query}`, { method: 'PUT', body });
    expect(refused.json).toMatchObject({ status, code });
    expect(machine.dirty.limits.size).toBe(0);
  });

  test('cannot be changed while a migration limits the vCPUs, as the document says', async () => {
    const machine = new FakeMachine();
    machine.dirty.ringEntries = 4096;
    const { server, outgoing } = await fakeApp({ machine, flags: ['--enable', 'dirty-limit'] });
    await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    outgoing().step('active');
    outgoing().listener.limitVcpus();
    const held = [...machine.dirty.limits];
    expect(held).toHaveLength(1);
    for (const [id, request] of [
      ['setVcpuDirtyLimit', { method: 'PUT', body: { 'dirty-rate': 9 } }],
      ['cancelVcpuDirtyLimit', { method: 'DELETE' }],
    ] as const) {
      const reply = await ask(server, '/vcpu-dirty-limit', request);
      expect(reply.json).toMatchObject({ status: 409, code: 'migration_in_progress' });
      expect(faultOfAnswer(id, reply)).toBeNull();
    }
    expect([...machine.dirty.limits]).toEqual(held);
  });

  test('cannot be set without a dirty ring, and has nothing to remove', async () => {
    const { server } = await fakeApp();
    const refused = await ask(server, '/vcpu-dirty-limit', { method: 'PUT', body: { 'dirty-rate': 1 } });
    expect(refused.json).toMatchObject({ status: 409, code: 'dirty_ring_needed' });
    expect((await ask(server, '/vcpu-dirty-limit', { method: 'DELETE' })).json).toEqual([]);
  });
});

describe('a complete service', () => {
  test('measures its guest, and limits a vCPU', async () => {
    const service = await localService(['--dirty-ring-size', '1024', '--workload', 'rate=20M,span=8M,pattern=seq']);
    // Before the first tick it boots, which dirties RAM without a limit.
    await expect.poll(async () => (await service.guest()).ticks).toBeGreaterThan(0);
    const measure = { 'calc-time': 200, 'calc-time-unit': 'millisecond', mode: 'dirty-ring' };
    const wait = { prefer: 'wait=20' };
    expect((await service.call('/dirty-rate', { body: measure, headers: wait })).json).toMatchObject({
      status: 'measured',
      'vcpu-dirty-rate': [{ id: 0 }],
    });
    await service.call('/vcpu-dirty-limit', { method: 'PUT', body: { 'dirty-rate': 2 } });
    await service.call('/dirty-rate', { body: measure, headers: wait });
    const { json } = await service.call('/dirty-rate', { body: measure, headers: wait });
    expect(json['dirty-rate']).toBeLessThanOrEqual(3);
    expect((await service.guest()).panic).toBeNull();
  });

  test('answers other requests while it hashes every sample of a large guest', async () => {
    const service = await localService(['--ram', '1G', '--workload', 'rate=0,fill=zero']);
    const body = { 'calc-time': 50, 'calc-time-unit': 'millisecond', 'sample-pages': 16_384 };
    const measured = service.call('/dirty-rate', { body, headers: { prefer: 'wait=20' } });
    let answers = 0;
    let isMeasured = false;
    void measured.then(() => {
      isMeasured = true;
    });
    while (!isMeasured) {
      // A request without a socket does not use a turn of the event loop.
      await turn();
      expect((await service.call('/status')).status).toBe(200);
      answers += 1;
    }
    expect((await measured).json).toMatchObject({ status: 'measured', 'dirty-rate': 0 });
    expect(answers).toBeGreaterThan(5);
  });

  test('measures no dirty pages of an image, which has no ring', async () => {
    const service = await localService(['--machine', 'image']);
    for (const mode of ['page-sampling', 'dirty-bitmap']) {
      const body = { 'calc-time': 50, 'calc-time-unit': 'millisecond', mode };
      const { json } = await service.call('/dirty-rate', { body, headers: { prefer: 'wait=20' } });
      expect(json).toMatchObject({ status: 'measured', 'dirty-rate': 0, mode });
    }
    const refused = await service.call('/dirty-rate', { body: { 'calc-time': 1, mode: 'dirty-ring' } });
    expect(refused.json.code).toBe('dirty_ring_needed');
  });

  test('closes during a measurement', async () => {
    const service = await localService();
    await service.call('/dirty-rate', { body: { 'calc-time': 60, mode: 'dirty-bitmap' } });
    await service.app.close();
  });
});
