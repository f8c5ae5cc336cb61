// Dirty rates during a migration, and compared with the answers of a real QEMU.
// QEMU scenario, with the synthetic guest: /dirty_limit

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ask } from '../helpers/app.ts';
import { type LocalService, localService } from '../helpers/guest-service.ts';
import { describeWithQemu, type Qemu, startQemu } from '../helpers/qemu/qemu.ts';
import { withRoundedNumbers } from '../helpers/qmp-reader.ts';

describe('a migration with a dirty rate measurement', () => {
  test('reports the system ids of its threads, and sends every dirty page', async () => {
    const flags = ['--ram', '32M', '--dirty-ring-size', '1024', '--workload', 'rate=20M,span=8M,pattern=hot'];
    const [source, target] = [
      await localService(flags),
      await localService([...flags, '--incoming', 'tcp:127.0.0.1:0']),
    ];
    await source.set({ 'max-bandwidth': 20_000_000 });
    const body = { 'calc-time': 10, mode: 'dirty-ring' };
    expect((await source.call('/dirty-rate', { body })).status).toBe(202);
    await source.start(await target.incomingUri());
    await source.untilStatus('active');
    for (const [service, name] of [[source, 'mig/src/main'] as const, [target, 'mig/dst/main'] as const]) {
      const [thread] = await service.get<{ name: string; 'thread-id': number }[]>('/migrate/threads');
      expect(thread?.name).toBe(name);
      expect(thread?.['thread-id']).not.toBe(process.pid);
      expect(readFileSync(`/proc/self/task/${thread?.['thread-id']}/stat`, 'utf8')).toMatch(/^\d+ \(/);
    }
    await source.set({ 'max-bandwidth': 0 });
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.untilStatus('completed');
    await target.expectRunning();
    expect(await source.get('/migrate/threads')).toEqual([]);
    expect((await target.guest()).panic).toBeNull();
  });
});

describe('the capability dirty-limit', () => {
  test('limits a guest that dirties more than can be sent, until the migration is complete', async () => {
    const flags = ['--ram', '32M', '--dirty-ring-size', '1024', '--workload', 'rate=60M,span=16M,pattern=seq'];
    const [source, target] = [
      await localService(flags),
      await localService([...flags, '--incoming', 'tcp:127.0.0.1:0']),
    ];
    await source.enable('dirty-limit');
    await source.set({ 'vcpu-dirty-limit': 8, 'max-bandwidth': 16 * 2 ** 20, 'downtime-limit': 1 });
    await source.start(await target.incomingUri());
    const limits = () => source.get<unknown[]>('/vcpu-dirty-limit');
    await expect.poll(limits).toMatchObject([{ 'cpu-index': 0, 'limit-rate': 8 }]);
    const measure = { body: { 'calc-time': 2, mode: 'dirty-ring' }, headers: { prefer: 'wait=30' } };
    const { json } = await source.call('/dirty-rate', measure);
    expect(json['dirty-rate']).toBeGreaterThan(7);
    expect(json['dirty-rate']).toBeLessThan(9);
    const info = (await source.query()) as unknown as Record<string, number>;
    expect(info['dirty-limit-ring-full-time']).toBeGreaterThan(400_000);
    expect(info['dirty-limit-ring-full-time']).toBeLessThan(600_000);
    expect(info['dirty-limit-throttle-time-per-round']).toBeGreaterThan(200_000);
    await source.set({ 'max-bandwidth': 0, 'downtime-limit': 2000 });
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    expect(await limits()).toEqual([]);
    await target.untilStatus('completed');
    await target.expectRunning();
    expect((await target.guest()).panic).toBeNull();
  });
});

type Step = { readonly command: string; readonly arguments?: Readonly<Record<string, unknown>> };

const calc = (arguments_: Step['arguments'] = {}): Step => ({ command: 'calc-dirty-rate', arguments: arguments_ });
const query = (unit: string): Step => ({ command: 'query-dirty-rate', arguments: { 'calc-time-unit': unit } });

/** Calls that start no measurement. */
const STEPS: readonly Step[] = [
  query('second'),
  query('millisecond'),
  ...[0, 61, -1].map((time) => calc({ 'calc-time': time })),
  ...[49, 60_001].map((time) => calc({ 'calc-time': time, 'calc-time-unit': 'millisecond' })),
  ...[127, 16_385].map((pages) => calc({ 'calc-time': 1, 'sample-pages': pages })),
  calc({ 'calc-time': 1, 'sample-pages': 512, mode: 'dirty-bitmap' }),
  calc({ 'calc-time': 1, mode: 'dirty-ring' }),
  calc({ 'calc-time': 1, mode: 'guess' }),
  { command: 'query-vcpu-dirty-limit' },
  { command: 'set-vcpu-dirty-limit', arguments: { 'dirty-rate': 10 } },
  { command: 'set-vcpu-dirty-limit', arguments: { 'dirty-rate': 0 } },
  { command: 'set-vcpu-dirty-limit', arguments: { 'dirty-rate': 10, 'cpu-index': 9 } },
  { command: 'cancel-vcpu-dirty-limit' },
  { command: 'cancel-vcpu-dirty-limit', arguments: { 'cpu-index': 9 } },
  { command: 'query-migrationthreads' },
  query('second'),
  calc({ 'calc-time': 50, 'calc-time-unit': 'millisecond', mode: 'dirty-bitmap', 'sample-pages': 1 }),
];
/** Calls during a measurement. */
const WHILE_MEASURING: readonly Step[] = [calc({ 'calc-time': 1 }), query('second'), query('millisecond')];

const METHODS: Readonly<Record<string, readonly ['GET' | 'POST' | 'PUT' | 'DELETE', string]>> = {
  'query-dirty-rate': ['GET', '/dirty-rate'],
  'calc-dirty-rate': ['POST', '/dirty-rate'],
  'query-vcpu-dirty-limit': ['GET', '/vcpu-dirty-limit'],
  'set-vcpu-dirty-limit': ['PUT', '/vcpu-dirty-limit'],
  'cancel-vcpu-dirty-limit': ['DELETE', '/vcpu-dirty-limit'],
  'query-migrationthreads': ['GET', '/migrate/threads'],
};

/** The result of a step: whether it is accepted, and the answer to a query without the time of day. */
function outcome(step: Step, isTaken: boolean, answer: unknown): unknown {
  if (!isTaken || !step.command.startsWith('query-')) return isTaken;
  if (Array.isArray(answer)) return answer;
  const { 'start-time': start, ...rest } = answer as Record<string, unknown>;
  return { ...rest, started: start !== 0 };
}

async function askQemu(qemu: Qemu, step: Step): Promise<unknown> {
  const reply = await qemu.qmp.executeText(step.command, JSON.stringify(step.arguments ?? {}));
  return reply.kind === 'error' ? outcome(step, false, null) : outcome(step, true, withRoundedNumbers(reply.value));
}

async function askService({ app }: LocalService, step: Step): Promise<unknown> {
  const [method, path] = METHODS[step.command] ?? ['GET', '/'];
  const takesBody = method === 'POST' || method === 'PUT';
  const parameters = Object.entries(step.arguments ?? {}).map(([name, value]) => [name, String(value)] as const);
  const query = takesBody ? '' : `?${new URLSearchParams(Object.fromEntries(parameters))}`;
  const body = takesBody ? { body: step.arguments ?? {} } : {};
  const reply = await ask(app.server, `${path}${query}`, { method, ...body });
  return outcome(step, reply.status < 300, reply.json);
}

describeWithQemu('compared with QEMU 10.0', () => {
  test('every step is accepted or refused alike, and the answers have the same members and values', async () => {
    const qemu = await startQemu({ ramMebibytes: 16 });
    const service = await localService(['--workload', 'rate=0']);
    const compare = async (steps: readonly Step[]): Promise<void> => {
      for (const step of steps) {
        expect(await askService(service, step), JSON.stringify(step)).toEqual(await askQemu(qemu, step));
      }
    };
    await compare([...STEPS, calc({ 'calc-time': 700, 'calc-time-unit': 'millisecond' })]);
    const measured = async (what: (step: Step) => Promise<unknown>) => {
      const answer = (await what(query('second'))) as { status: string };
      expect(answer.status).toBe('measured');
      return answer;
    };
    await expect.poll(() => measured((step) => askQemu(qemu, step)), { timeout: 20_000 }).toBeDefined();
    await expect.poll(() => measured((step) => askService(service, step)), { timeout: 20_000 }).toBeDefined();
    const shown = async (what: (step: Step) => Promise<unknown>) => ({ ...(await measured(what)), 'dirty-rate': 0 });
    expect(await shown((step) => askService(service, step))).toEqual(await shown((step) => askQemu(qemu, step)));
    await compare([calc({ 'calc-time': 60 })]);
    // QEMU measures in a thread of its own, and accepts another measurement until that thread has started.
    await expect.poll(() => askQemu(qemu, query('second'))).toMatchObject({ status: 'measuring' });
    await compare(WHILE_MEASURING);
  });
});
