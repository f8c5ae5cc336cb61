// A real Prometheus scrapes a service during a failed and a completed migration, with the alert rules of
// docs/monitoring. The alert fires at the first failure of a process, because its series begins with 0, and it
// resolves later. The windows and intervals of the rules are shortened to seconds for this test.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { ask, fakeApp, listen, startApp, temporaryDirectory, testConfig } from '../helpers/app.ts';
import { describeNeeding } from '../helpers/needs.ts';
import { closedPort } from '../helpers/peer.ts';
import { whenOver } from '../helpers/shared.ts';

const RULES = new URL('../../docs/monitoring/vmferry.rules.yml', import.meta.url).pathname;
const FAILED = 'VmferryMigrationFailed';

function missing(): string | null {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' });
    execFileSync('prometheus', ['--version'], { stdio: 'ignore' });
    return null;
  } catch {
    return 'Prometheus is not installed (Debian: prometheus)';
  }
}

/** Starts Prometheus with the rules, their windows cut to seconds. @returns its address. */
async function startPrometheus(port: number): Promise<string> {
  const directory = temporaryDirectory();
  const rules = readFileSync(RULES, 'utf8')
    .replaceAll('[15m]', '[10s]')
    .replaceAll(/for: \d+[mh]/g, 'for: 0s');
  writeFileSync(join(directory, 'rules.yml'), rules);
  const every = '{ scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s }';
  const jobs = `[{ job_name: vmferry, static_configs: [{ targets: ['127.0.0.1:${port}'] }] }]`;
  writeFileSync(
    join(directory, 'prometheus.yml'),
    `global: ${every}\nrule_files: [rules.yml]\nscrape_configs: ${jobs}\n`,
  );
  const flags = ['--config.file=prometheus.yml', '--storage.tsdb.path=tsdb', '--web.listen-address=127.0.0.1:0'];
  const child = spawn('prometheus', flags, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  whenOver(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  for await (const line of createInterface({ input: child.stderr })) {
    const found = /msg="Listening on" address=(\S+)/.exec(line);
    if (found === null) continue;
    child.stderr.resume();
    return `http://${found[1]}`;
  }
  throw new Error('Prometheus ended before it listened');
}

async function apiOf<T>(url: string, path: string): Promise<T> {
  const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as { data: T };
  return answer.data;
}

describeNeeding({ name: 'Prometheus', missing: missing() }, () => {
  test('reports no problem in the rules and the metrics', async () => {
    execFileSync('promtool', ['check', 'rules', RULES]);
    const app = await fakeApp();
    app.machine.panic();
    const { text } = await ask(app.server, '/metrics');
    expect(execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' })).toBe('');
  });

  test('fires an alert for the first failed migration, and resolves it after a completed one', async () => {
    const app = await startApp(testConfig(['--ram', '8M', '--workload', 'rate=0']));
    const url = await startPrometheus(await listen(app.server));
    const sampleOf = async (query: string) => {
      const { result } = await apiOf<{ result: { value: [number, string] }[] }>(
        url,
        `query?query=${encodeURIComponent(query)}`,
      );
      return result.map(({ value }) => value[1]);
    };
    const firing = async () => {
      const { alerts } = await apiOf<{ alerts: { state: string; labels: { alertname: string } }[] }>(url, 'alerts');
      return alerts.filter(({ state, labels }) => state === 'firing' && labels.alertname === FAILED).length;
    };
    const counted = (outcome: string) =>
      sampleOf(`vmferry_migrations_total{direction="outgoing",outcome="${outcome}"}`);
    await expect.poll(() => counted('failed')).toEqual(['0']);
    const migrate = async (uri: string) =>
      (await ask(app.server, '/migrate', { body: { uri }, headers: { prefer: 'wait=20' } })).json.status;
    expect(await migrate(`tcp:127.0.0.1:${await closedPort()}`)).toBe('failed');
    // The query covers all past alerts, so that no moment of the alert is missed.
    const everFired = () => sampleOf(`count_over_time(ALERTS{alertname="${FAILED}",alertstate="firing"}[5m]) > bool 0`);
    await expect.poll(everFired).toEqual(['1']);
    expect(await migrate('file:state')).toBe('completed');
    await expect.poll(firing).toBe(0);
    expect([await counted('failed'), await counted('completed')]).toEqual([['1'], ['1']]);
    expect(await sampleOf('vmferry_migration_status{status="completed"}')).toEqual(['1']);
  });
});
