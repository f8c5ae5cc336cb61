// Two machines in one process: each has its own domain, engine, guest and rows in a store, and nothing is shared between
// them but the process.

import { expect, test } from 'vitest';
import { type ComposedMachine, composeMachine } from '../../src/compose-machine.ts';
import type { Store } from '../../src/domain/ports/store.ts';
import { createLog } from '../../src/log.ts';
import { testConfig } from '../helpers/app.ts';
import { openMemoryStore } from '../helpers/memory-store.ts';
import { whenOver } from '../helpers/shared.ts';

const RAM = ['--ram', '32M', '--workload', 'rate=20M,span=16M,pattern=random'];
const WAIT_MS = 30_000;

type Machine = ComposedMachine & { readonly store: Store };

async function machine(name: string, flags: readonly string[] = []): Promise<Machine> {
  const store = openMemoryStore();
  const composed = await composeMachine(testConfig([...RAM, '--name', name, ...flags]), {
    store,
    log: createLog('silent'),
  });
  whenOver(async () => {
    await composed.close();
    store.close();
  });
  return { ...composed, store };
}

/** Migrates the guest of one machine to the other. Resolves with both rows. */
async function move(from: Machine, to: Machine) {
  const incoming = await to.domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' });
  const [address] = to.domain.migration.query()['socket-address'] ?? [];
  if (address?.type !== 'inet') throw new TypeError('the listener has no port');
  const outgoing = from.domain.migration.start({ uri: `tcp:127.0.0.1:${address.port}` });
  const sent = await from.domain.migration.ended(outgoing.id, WAIT_MS);
  const received = await to.domain.migration.ended(incoming.id, WAIT_MS);
  return { sent, received };
}

function statesOf({ domain }: Machine) {
  return [domain.machine.status().status, domain.machine.info().name];
}

const kinds = async ({ workers }: Machine) => (await workers.memory()).map(({ kind }) => kind).sort();

test('two machines in one process migrate to each other and back, and each has only its own rows', async () => {
  const first = await machine('first');
  const second = await machine('second', ['--incoming', 'defer']);

  const there = await move(first, second);
  expect(there.sent).toMatchObject({ status: 'completed', direction: 'outgoing', guest: 'there' });
  expect(there.received).toMatchObject({ status: 'completed', direction: 'incoming', guest: 'here' });
  expect([statesOf(first), statesOf(second)]).toEqual([
    ['postmigrate', 'first'],
    ['running', 'second'],
  ]);

  const back = await move(second, first);
  expect(back.sent).toMatchObject({ status: 'completed', guest: 'there' });
  expect([statesOf(first), statesOf(second)]).toEqual([
    ['running', 'first'],
    ['postmigrate', 'second'],
  ]);

  const rows = ({ store }: Machine) =>
    store.migrations.list({ limit: 10, cursor: null }).items.map(({ id, direction }) => [id, direction]);
  expect(rows(first)).toEqual([
    [back.received.id, 'incoming'],
    [there.sent.id, 'outgoing'],
  ]);
  expect(rows(second)).toEqual([
    [back.sent.id, 'outgoing'],
    [there.received.id, 'incoming'],
  ]);
  for (const { domain } of [first, second]) expect(domain.machine.info().guest?.panic).toBeNull();
});

test('a machine in a process is closed with its threads, and the other guest keeps running', async () => {
  const first = await machine('first');
  const second = await machine('second');
  expect([await kinds(first), await kinds(second)]).toEqual([
    ['block', 'vcpu'],
    ['block', 'vcpu'],
  ]);
  first.domain.settings.setParameters({ 'downtime-limit': 77 });
  await first.close();
  expect(await kinds(first)).toEqual([]);
  expect(await kinds(second)).toEqual(['block', 'vcpu']);
  expect(second.domain.settings.parameters()['downtime-limit']).toBe(300);
  const { guest } = second.domain.machine.info();
  await expect.poll(() => second.domain.machine.info().guest?.ticks).toBeGreaterThan(guest?.ticks ?? 0);
});
