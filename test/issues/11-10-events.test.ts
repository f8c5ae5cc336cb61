// MIGRATION and MIGRATION_PASS were written to the event log only while the capability `events` was on. `GET /events`
// lacked them by default, and they did not name their migration. The capability belongs to the QMP sockets of QEMU.
// Now the log contains all events, and the QMP door omits the events that QEMU would not send.

import { Compile } from 'typebox/compile';
import { describe, expect, test } from 'vitest';
import { EVENTS, EventBye, EventGap, MachineEvent } from '../../src/commands/schemas/events.ts';
import { eventView } from '../../src/commands/views/machine.ts';
import { settled } from '../domain/jobs/world.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';
import { connectQmp } from '../helpers/qmp-client.ts';

const isEvent = Compile(MachineEvent);

async function migrate(app: FakeApp, uri: string): Promise<string> {
  const { id } = (await ask(app.server, '/migrate', { body: { uri } })).json;
  app.outgoing().step('active');
  app.outgoing().listener.pass(1);
  app.outgoing().finish('failed', { code: 'peer_reset', message: 'Broken.' });
  await settled();
  return id as string;
}

describe('the event stream over HTTP', () => {
  test.each([[], ['--enable', 'events']])('contains a migration with its id, with the flags %j', async (...flags) => {
    const app = await fakeApp({ flags });
    const ids = [await migrate(app, 'tcp:127.0.0.1:1'), await migrate(app, 'file:state')];
    const told = app.domain.events
      .since(0, 100)
      .map(({ name, data }) => [name, data])
      .filter(([name]) => String(name).startsWith('MIGRATION'));
    expect(told).toEqual(
      ids.flatMap((id) => [
        ['MIGRATION', { status: 'setup', id }],
        ['MIGRATION', { status: 'active', id }],
        ['MIGRATION_PASS', { pass: 1, id }],
        ['MIGRATION', { status: 'failed', id }],
      ]),
    );
  });

  test('contains only events in the form of the API document', async () => {
    const app = await fakeApp();
    await migrate(app, 'tcp:127.0.0.1:1');
    await ask(app.server, '/stop', { method: 'POST' });
    await ask(app.server, '/cont', { method: 'POST' });
    await ask(app.server, '/snapshots', { body: { tag: 'one' }, headers: { prefer: 'wait=20' } });
    app.machine.panic();
    app.domain.machine.emitShutdown('host-signal');
    const events = app.domain.events.since(0, 1000);
    for (const event of events) expect([event, isEvent.Check(eventView(event))]).toEqual([event, true]);
    const seen = new Set(events.map(({ name }) => name));
    const neverSent = [...EVENTS.keys()].filter((name) => !seen.has(name));
    expect(neverSent).toEqual(['COLO_EXIT', 'UNPLUG_PRIMARY']);
    expect(
      isEvent.Check({ event: 'MIGRATION', data: { status: 'setup' }, timestamp: { seconds: 1, microseconds: 0 } }),
    ).toBe(false);
    expect(Compile(EventGap).Check({ from: 1, to: 2 }) && Compile(EventBye).Check({ reason: 'shutting-down' })).toBe(
      true,
    );
  });
});

describe('a QMP socket', () => {
  test('receives MIGRATION events only with the capability events, and without members that QEMU does not have', async () => {
    const app = await fakeApp({ flags: ['--qmp', 'tcp:127.0.0.1:0'] });
    const [address] = await app.listenQmp();
    const client = connectQmp(address!);
    await client.next();
    client.send('{"execute":"qmp_capabilities"}');
    await client.next();
    await migrate(app, 'tcp:127.0.0.1:1');
    app.domain.settings.setCapabilities([{ capability: 'events', state: true }]);
    await migrate(app, 'tcp:127.0.0.1:1');
    app.machine.panic();
    const told = await client.take(6);
    expect(told.map((event) => [event?.event, event?.data])).toEqual([
      ['MIGRATION', { status: 'setup' }],
      ['MIGRATION', { status: 'active' }],
      ['MIGRATION_PASS', { pass: 1 }],
      ['MIGRATION', { status: 'failed' }],
      ['GUEST_PANICKED', { action: 'pause' }],
      ['STOP', undefined],
    ]);
  });
});
