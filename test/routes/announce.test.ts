import { Writable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { HmpMonitor } from '../../src/hmp/hmp-monitor.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, fakeApp, startApp, testConfig } from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';

const PLACE = '/announcements';
const ONE_ROUND = { initial: 50, max: 550, rounds: 1, step: 100 };

describe('announcements over HTTP', () => {
  test('use the parameters for omitted members, and are found at Location', async () => {
    const { server } = await fakeApp();
    await ask(server, '/migrate/parameters', { method: 'PATCH', body: { 'announce-rounds': 1, 'announce-step': 7 } });
    const begun = await ask(server, PLACE, { body: { initial: 9, interfaces: ['vn2'], id: 'bob' } });
    expect([begun.status, begun.headers.location]).toEqual([201, `${PLACE}/1`]);
    expect(begun.json).toMatchObject({
      id: '1',
      name: 'bob',
      migration: null,
      interfaces: ['vn2'],
      schedule: { initial: 9, max: 550, rounds: 1, step: 7 },
      outcome: 'completed',
      rounds: [{ round: 1 }],
    });
    expect((await ask(server, `${PLACE}/1`)).json).toEqual(begun.json);
    expect((await ask(server, PLACE, { method: 'POST' })).json).toMatchObject({ id: '2', name: '', interfaces: null });
    const { rounds: _, ...row } = begun.json;
    const page = await ask(server, `${PLACE}?limit=1`);
    expect(page.json).toMatchObject({ announcements: [{ id: '2' }] });
    expect((await ask(server, `${PLACE}?cursor=${page.json.next}`)).json).toEqual({ announcements: [row], next: null });
  });

  test.each(['0', '3', '-1', '1.0', 'x', '1e999'])('with id %s do not exist', async (id) => {
    const { server } = await fakeApp();
    await ask(server, PLACE, { body: { rounds: 1 } });
    expect((await ask(server, `${PLACE}/${id}`)).json).toMatchObject({ status: 404, code: 'announcement_not_found' });
  });

  test('return 64-bit values exactly', async () => {
    const { server } = await fakeApp();
    const reply = await ask(server, PLACE, { body: '{"initial":9223372036854775807,"rounds":1}' });
    expect(reply.text).toContain('"initial":9223372036854775807');
  });

  test('are logged, without a frame', async () => {
    const lines: string[] = [];
    const logStream = new Writable({
      write: (chunk, _, done) => {
        lines.push(String(chunk));
        done();
      },
    });
    const parts = { engine: new FakeEngine(), machine: new FakeMachine(), blocks: new MemoryBlocks(), logStream };
    const { server } = await startApp({ ...testConfig(), logLevel: 'info' }, parts);
    await ask(server, PLACE, { body: { rounds: 1, id: 'bob' } });
    const told = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => 'announcement' in line);
    expect(told).toMatchObject([
      { level: 30, announcement: 1, name: 'bob', initial: '50' },
      { level: 30, announcement: 1, round: 1, msg: expect.stringContaining('no frame was sent') },
      { level: 30, announcement: 1, outcome: 'completed', rounds: 1 },
    ]);
  });
});

describe('announcements through the other doors', () => {
  test('get an empty answer over QMP, which requires all members', async () => {
    const { server } = await fakeApp();
    const done = await ask(server, '/qmp', { body: { execute: 'announce-self', arguments: ONE_ROUND } });
    expect(done.json).toEqual({ return: {} });
    const missed = await ask(server, '/qmp', { body: { execute: 'announce-self', arguments: { rounds: 1 } } });
    expect(missed.json).toMatchObject({ error: { class: 'GenericError' } });
    expect((await ask(server, PLACE)).json).toMatchObject({ announcements: [{ schedule: ONE_ROUND }] });
  });

  test('use the parameters in the text monitor, which accepts a list of interfaces', async () => {
    const { server, domain } = await fakeApp();
    const monitor = new HmpMonitor(domain);
    domain.settings.setParameters({ 'announce-rounds': 1 });
    expect(await monitor.run('announce_self')).toBe('');
    expect(await monitor.run('announce_self vn2,vn3 bob')).toBe('');
    expect((await ask(server, PLACE)).json).toMatchObject({
      announcements: [
        { name: 'bob', interfaces: ['vn2', 'vn3'], schedule: { rounds: 1 } },
        { name: '', interfaces: null },
      ],
    });
    expect(await monitor.run('x_colo_lost_heartbeat')).toMatch(/^Error: The machine is not in COLO mode/);
  });
});
