// Real migrations between two services that two callers cancel at a moment within the last phase, which moves from
// race to race.

import { expect } from 'vitest';
import { eventsOf, type LocalService, localService } from './guest-service.ts';

export type CancelRaces = { cancelled: number; completed: number };

const FLAGS = ['--ram', '8M', '--workload', 'rate=4M,span=1M,pattern=hot,fill=zero', '--enable', 'events'] as const;
/** The moment of the cancel is drawn from a span that follows the switchover, and is moved to where both can win. */
const STEP_MS = 0.4;

/**
 * Runs `count` races, and more up to `most` until both sides have won one, and checks that each has one end, told alike by all: the answers, GET /migrate, the history, the
 * events; and that the guest runs on exactly one side.
 */
export async function runRaces(count: number, most = count): Promise<CancelRaces> {
  const races: CancelRaces = { cancelled: 0, completed: 0 };
  let source = await localService(FLAGS);
  let target = await fresh();
  let delayMs = 1;
  const isOneSided = (): boolean => Math.min(races.cancelled, races.completed) === 0;
  for (let race = 0; race < count || (isOneSided() && race < most); race += 1) {
    const capability = { capability: 'return-path', state: race % 2 === 0 };
    await source.call('/migrate/capabilities', { method: 'PATCH', body: { capabilities: [capability] } });
    const isCancelled = await raceOnce(source, target, Math.max(0, delayMs));
    // Towards the other end: so the moment hovers where it is open who wins.
    delayMs += isCancelled ? STEP_MS : -STEP_MS;
    races[isCancelled ? 'cancelled' : 'completed'] += 1;
    if (isCancelled) {
      const reply = await target.call('/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
      expect(reply.status, reply.text).toBe(202);
    } else {
      await source.app.close();
      [source, target] = [target, await fresh()];
    }
  }
  await Promise.all([source.app.close(), target.app.close()]);
  return races;
}

function fresh(): Promise<LocalService> {
  return localService([...FLAGS, '--incoming', 'tcp:127.0.0.1:0']);
}

/** @returns whether the cancel won. */
async function raceOnce(source: LocalService, target: LocalService, delayMs: number): Promise<boolean> {
  const before = source.app.domain.events.bounds().newest;
  const stopped = Promise.withResolvers<void>();
  const unsubscribe = source.app.domain.events.subscribe(({ name }) => name === 'STOP' && stopped.resolve());
  const id = await source.start(await target.incomingUri());
  await Promise.race([stopped.promise, source.ended()]);
  unsubscribe();
  await spin(delayMs);
  const answers = await Promise.all([source.cancel(), source.cancel()]);
  const row = await source.ended();

  expect(row.id).toBe(id);
  expect(['cancelled', 'completed']).toContain(row.status);
  const isCancelled = row.status === 'cancelled';
  const possible = isCancelled ? ['cancelled'] : ['already-completed', 'not-cancellable'];
  for (const answer of answers) expect(possible).toContain(answer);
  expect((await source.query()).status).toBe(row.status);
  expect(await source.row(id)).toMatchObject({
    status: row.status,
    guest: isCancelled ? 'here' : expect.stringMatching(/^there/),
  });
  const ends = eventsOf(source, before).filter((event) => /completed|cancelled|failed/.test(event));
  expect(ends).toEqual([`MIGRATION ${row.status}`]);
  expect((await target.ended()).status).toBe(isCancelled ? 'failed' : 'completed');
  const states = [await source.runState(), await target.runState()];
  expect(states).toEqual(isCancelled ? ['running', 'inmigrate'] : ['postmigrate', 'running']);
  await (isCancelled ? source : target).expectRunning();
  return isCancelled;
}

/** Less than a timer can wait. */
async function spin(milliseconds: number): Promise<void> {
  const end = performance.now() + milliseconds;
  while (performance.now() < end) await new Promise<void>((resolve) => setImmediate(resolve));
}
