// A label combination appeared with the value 1 at its first event. `increase()` needs a 0 before it, so it missed
// the first failure of a process. CPU time and event-loop delay came from the library, which starts to measure at the
// first scrape: CPU time lacked all earlier use, and the delay was NaN.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { settled } from '../domain/jobs/world.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';

async function scrape({ server }: FakeApp): Promise<ReadonlyMap<string, number>> {
  const { text } = await ask(server, '/metrics');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

describe('the first scrape', () => {
  test('has a 0 for every label combination of migrations and jobs, and no NaN', async () => {
    const samples = await scrape(await fakeApp());
    for (const outcome of ['completed', 'failed', 'cancelled']) {
      for (const direction of ['outgoing', 'incoming'])
        expect(samples.get(`vmferry_migrations_total{direction="${direction}",outcome="${outcome}"}`)).toBe(0);
      for (const verb of ['save', 'load', 'delete', 'verify'])
        expect(samples.get(`vmferry_jobs_total{type="snapshot-${verb}",outcome="${outcome}"}`)).toBe(0);
    }
    for (const verdict of ['converging', 'stalled', 'hopeless'])
      expect(samples.get(`vmferry_migration_verdict{verdict="${verdict}"}`)).toBe(0);
    expect([...samples].filter(([, value]) => !Number.isFinite(value))).toEqual([]);
  });

  test('counts CPU time from the start of the process', async () => {
    const before = process.cpuUsage();
    const samples = await scrape(await fakeApp());
    const used = samples.get('process_cpu_seconds_total') ?? 0;
    expect(used).toBeGreaterThanOrEqual((before.user + before.system) / 1e6);
  });
});

describe('a scrape', () => {
  test('has the run state, a panic with its reason, readiness, free space and versions', async () => {
    const app = await fakeApp();
    app.machine.panic('torn');
    const samples = await scrape(app);
    expect(samples.get('vmferry_guest_run_state{state="guest-panicked"}')).toBe(1);
    expect(samples.get('vmferry_guest_run_state{state="running"}')).toBe(0);
    expect(samples.get('vmferry_guest_panicked')).toBe(1);
    expect(samples.get('vmferry_guest_panic_info{kind="torn",detail="a page is torn"}')).toBe(1);
    expect(samples.get('vmferry_ready')).toBe(1);
    expect(samples.get('vmferry_filesystem_free_bytes{place="data"}')).toBeGreaterThan(0);
    expect([...samples.keys()].some((name) => /^vmferry_build_info\{version="\d.*",node="v\d/.test(name))).toBe(true);
  });

  test('has the verdict of a migration, and the progress of an incoming one', async () => {
    const source = await fakeApp();
    await ask(source.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    expect((await scrape(source)).get('vmferry_migration_verdict{verdict="converging"}')).toBe(1);
    const target = await fakeApp({ flags: ['--incoming', 'defer'] });
    const begun = ask(target.server, '/migrate/incoming', { body: { uri: 'tcp:127.0.0.1:0' } });
    await expect.poll(() => target.incoming()).toBeDefined();
    target.incoming().listen();
    await begun;
    target.incoming().activate();
    target.incoming().setFigures({ totalBytes: 8192, normalPages: 1, bandwidth: 5 });
    const samples = await scrape(target);
    expect(samples.get('vmferry_migration_first_pass_ratio')).toBe(0.5);
    expect(samples.get('vmferry_migration_remaining_bytes')).toBe(4096);
    expect(samples.get('vmferry_migration_rate_bytes_per_second')).toBe(5);
  });

  test('counts requests with Prefer separately, and has the newest consistent snapshot', async () => {
    const app = await fakeApp();
    expect((await scrape(app)).get('vmferry_snapshot_last_good_timestamp_seconds')).toBe(0);
    await ask(app.server, '/snapshots', { body: { tag: 'one' }, headers: { prefer: 'wait=20' } });
    await settled();
    const samples = await scrape(app);
    const labels = 'method="POST",route="/snapshots",status="200"';
    expect(samples.get(`vmferry_http_requests_with_wait_total{${labels}}`)).toBe(1);
    expect(samples.has(`vmferry_http_request_duration_seconds_count{${labels}}`)).toBe(false);
    expect(samples.get('vmferry_snapshot_last_good_timestamp_seconds')).toBeGreaterThan(0);
  });
});

test.each(['vmferry.rules.yml', 'grafana-dashboard.json'])('%s names only existing metrics', async (file) => {
  const app = await fakeApp();
  for (const [step, end] of [['active', 'completed']] as const) {
    await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    app.outgoing().step(step);
    expect((await ask(app.server, '/metrics')).text).toContain('vmferry_migration_expected_downtime_seconds 0');
    app.outgoing().step('device');
    app.outgoing().finish(end);
  }
  await settled();
  const { text } = await ask(app.server, '/metrics');
  const described = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const page = readFileSync(new URL(`../../docs/monitoring/${file}`, import.meta.url), 'utf8');
  const named = page.match(/\b(?:vmferry|process|nodejs)_[a-z0-9_]+/g) ?? [];
  expect(named.length).toBeGreaterThan(8);
  const missing = named.filter(
    (name) => !described.has(name.replace(/_(?:bucket|count|sum)$/, '')) && !described.has(name),
  );
  expect(missing).toEqual([]);
});
