// The times of one migration had four origins. `started-at` was the wall clock at the creation of the row. Samples
// counted from the construction of the recorder, passes from the connection of the worker thread, and `total-time`
// from the start of the worker thread about 40 ms later. A sample could be later than the end, and passes did not
// match samples. Now the creation of the row is the origin of all times.

import { expect, test } from 'vitest';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { localService, type Service } from '../helpers/guest-service.ts';

type Pass = { readonly pass: number; readonly 'started-ms': number; readonly 'duration-ms': number };
type Row = {
  readonly status: string;
  readonly 'started-at': string;
  readonly 'ended-at': string;
  readonly passes: readonly Pass[];
  readonly result: { readonly 'total-time'?: number; readonly 'setup-time'?: number };
};
type Timeline = { readonly row: Row; readonly atMs: readonly number[]; readonly lengthMs: number };

async function timeline(service: Service, id: string): Promise<Timeline> {
  const row = (await service.get(`/migrations/${id}`)) as Row;
  const { samples } = (await service.get(`/migrations/${id}/samples`)) as { samples: { 'at-ms': number }[] };
  const lengthMs = Date.parse(row['ended-at']) - Date.parse(row['started-at']);
  return { row, atMs: samples.map((sample) => sample['at-ms']), lengthMs };
}

async function newest(service: Service): Promise<string> {
  const { migrations } = (await service.get('/migrations')) as { migrations: { id: string }[] };
  return migrations[0]!.id;
}

function expectInOrder({ atMs, lengthMs }: Timeline): void {
  expect(atMs.length).toBeGreaterThan(0);
  expect(atMs).toEqual(atMs.toSorted((left, right) => left - right));
  expect(atMs[0]).toBeGreaterThanOrEqual(0);
  expect(atMs.at(-1)).toBeLessThanOrEqual(lengthMs);
}

const GUEST = ['--ram', '4M', '--workload', 'rate=400k,span=1M,pattern=hot'];

test.each(['tcp:127.0.0.1:0', 'unix'])(
  'over %s all times of a migration are relative to the creation of its row',
  async (at) => {
    const there = await localService([
      '--ram',
      '4M',
      '--incoming',
      at === 'unix' ? `unix:${temporaryDirectory()}/m` : at,
    ]);
    const here = await localService(GUEST);
    const id = (await here.migrate(await there.incomingUri())).id;
    await there.ended();
    const sent = await timeline(here, id);
    const { passes, result } = sent.row;
    expect(sent.row.status).toBe('completed');
    expect(sent.lengthMs).toBe(result['total-time']);
    expectInOrder(sent);
    expect(passes[0]!['started-ms']).toBe(result['setup-time']);
    for (const [index, pass] of passes.slice(1).entries()) {
      const before = passes[index]!;
      expect(pass['started-ms']).toBe(before['started-ms'] + before['duration-ms']);
    }
    const last = passes.at(-1)!;
    expect(last['started-ms'] + last['duration-ms']).toBeLessThanOrEqual(sent.lengthMs);
    expectInOrder(await timeline(there, await newest(there)));
  },
);

test('a wall clock that is set back during a migration does not change its duration', async () => {
  const { domain, outgoing, time } = fakeDomain();
  const { id, startedAt } = domain.migration.start({ uri: 'tcp:192.0.2.1:4444' });
  outgoing().step('active');
  time.pass(250);
  time.now = () => startedAt - 3_600_000;
  outgoing().finish('failed');
  expect((await domain.migration.ended(id, 1000)).endedAt).toBe(startedAt + 250);
});
