// `/readyz` checked the access rights of the data directory and never wrote to it. On a full or failing disk it
// reported `ready: true` while every command got status 507. It also required a token, which a Kubernetes probe does
// not have.

import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DomainError } from '../../src/domain/errors.ts';
import { dataDirectoryProbe, NO_RESERVE } from '../../src/store/disk-room.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { FakeTime } from '../domain/fakes/fake-time.ts';
import { ask, startApp, temporaryDirectory, testConfig, tokenFile } from '../helpers/app.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import { describeWithMounts, fillUp, smallDisk } from '../helpers/snapshots/mounts.ts';
import { SCHEMA_DIRECTORY } from '../store/fixtures.ts';

const fakes = () => ({ engine: new FakeEngine(), machine: new FakeMachine(), blocks: new MemoryBlocks() });
/** Longer than an answer of the probe stays fresh. */
const LATER_MS = 1001;

describeWithMounts('a data directory', () => {
  test('makes the service not ready while it is full', async () => {
    const data = join(smallDisk(8), 'data');
    const clock = new FakeTime();
    const { server } = await startApp(testConfig([], data), { ...fakes(), clock });
    const look = async () => {
      clock.pass(LATER_MS);
      const { status, json } = await ask(server, '/readyz');
      return [status, json.ready, (json.checks as { data: string }).data];
    };
    expect(await look()).toEqual([200, true, 'ok']);
    const giveBack = fillUp(join(data, '..'), 0);
    expect(await look()).toEqual([503, false, `No space is left in ${data}: ENOSPC.`]);
    expect((await ask(server, '/healthz')).status).toBe(200);
    giveBack();
    expect(await look()).toEqual([200, true, 'ok']);
    expect(readdirSync(data)).not.toContain('probe');
  });
});

describe('the probe of a data directory', () => {
  test('writes again after a second, and fails without the reserve for jobs', () => {
    const directory = temporaryDirectory();
    openStore(directory, SCHEMA_DIRECTORY).close();
    let nowMs = 0;
    let keeps = 0;
    let isFull = true;
    const keep = () => {
      keeps += 1;
      if (isFull) throw new DomainError('no_space', 'No space is left for the reserve.');
    };
    const probe = dataDirectoryProbe(directory, { reserve: { ...NO_RESERVE, keep }, now: () => nowMs });
    expect([probe(), probe(), keeps]).toEqual([...Array(2).fill('No space is left for the reserve.'), 1]);
    isFull = false;
    nowMs = 999;
    expect(probe()).toContain('No space');
    nowMs = 1000;
    expect([probe(), keeps]).toEqual(['ok', 2]);
  });

  test('names the missing file', () => {
    const directory = join(temporaryDirectory(), 'data');
    const probe = dataDirectoryProbe(directory, { reserve: NO_RESERVE, now: () => 0 });
    expect(probe()).toBe(`${directory} cannot be used: ENOENT`);
    mkdirSync(directory);
    expect(probe()).toBe(`${join(directory, 'vmferry.db')} cannot be used: ENOENT`);
  });
});

describe('readiness of a service with tokens', () => {
  const OPERATOR = 'operator-token-0123456789';
  const VIEWER = 'viewer-token-0123456789ab';

  test('is answered without details if there is no token, and with details if there is one', async () => {
    const flags = ['--token-file', tokenFile([`${OPERATOR} operator`, `${VIEWER} viewer`])];
    const app = await startApp(testConfig(flags), fakes());
    const of = (token: string) => ask(app.server, '/readyz', { headers: { authorization: `Bearer ${token}` } });
    expect((await ask(app.server, '/readyz')).json).toEqual({ ready: true });
    for (const token of [OPERATOR, VIEWER]) {
      expect((await of(token)).json).toEqual({ ready: true, checks: { data: 'ok', service: 'ok', guest: 'ok' } });
    }
    const wrong = await of('wrong');
    expect([wrong.status, wrong.json.code]).toEqual([401, 'not_authenticated']);
    await app.drain(0);
    const draining = await ask(app.server, '/readyz');
    expect([draining.status, draining.json]).toEqual([503, { ready: false }]);
  });
});
