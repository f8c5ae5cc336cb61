// If its group can write a token file, each member of the group can give itself any role. The text of an exec:
// address may contain a password, and the output of the command may repeat it: viewers saw both. A job that was
// paused while it waited counted as a job that needs the machine, so no migration could start until the job was
// resumed.

import { chmodSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/flag-values.ts';
import { readTokenFile } from '../../src/config/token-file.ts';
import { ask, type FakeApp, fakeApp, tokenFile } from '../helpers/app.ts';

const OPERATOR = 'operator-token-of-some-length';
const VIEWER = 'viewer-token-of-some-length';

describe('a token file', () => {
  test.each([0o620, 0o602, 0o666, 0o660, 0o622])('that others than its owner can write is refused: mode %o', (mode) => {
    const path = tokenFile([`${OPERATOR} operator`]);
    chmodSync(path, mode);
    expect(() => readTokenFile(path)).toThrow(ConfigError);
    expect(() => readTokenFile(path)).toThrow(/is writable by other users than its owner \(chmod 600\)/);
  });

  test('that its group can only read is accepted, and one that others can read gives a warning', () => {
    const path = tokenFile([`${OPERATOR} operator`]);
    chmodSync(path, 0o640);
    expect(readTokenFile(path).warnings).toEqual([]);
    chmodSync(path, 0o644);
    expect(readTokenFile(path).warnings).toHaveLength(1);
  });
});

describe('the command of an exec: address', () => {
  test('is shown with its output to operators, and neither is shown to viewers', async () => {
    const secret = 'hunter2';
    const lines = [`${OPERATOR} operator`, `${VIEWER} viewer`];
    const app = await fakeApp({ flags: ['--allow-exec', '--token-file', tokenFile(lines)] });
    const get = (token: string, path: string, body?: unknown) =>
      ask(app.server, path, { headers: { authorization: `Bearer ${token}` }, ...(body === undefined ? {} : { body }) });
    const { json } = await get(OPERATOR, '/migrate', { uri: `exec:curl -u me:${secret} https://example.org` });
    app.outgoing().step('active');
    app.outgoing().finish('failed', { code: 'command_failed', message: `exec:${secret} ended` });
    const paths = ['/migrations', `/migrations/${json.id}`, '/migrate'];
    for (const path of paths) {
      await expect.poll(async () => (await get(OPERATOR, path)).text).toContain(`exec:${secret} ended`);
      const seen = await get(VIEWER, path);
      expect([path, seen.status, seen.text.includes(secret)]).toEqual([path, 200, false]);
    }
    const line = await ask(app.server, '/hmp', {
      body: 'info migrate',
      headers: { authorization: `Bearer ${VIEWER}`, 'content-type': 'text/plain' },
    });
    const qmp = await get(VIEWER, '/qmp', { execute: 'query-migrate' });
    expect([line.text.includes(secret), qmp.text.includes(secret), qmp.status]).toEqual([false, false, 200]);
    expect((await get(VIEWER, '/migrate')).json['error-desc']).toBe('The exec: command failed');
  });
});

describe('a job that was paused before it started', () => {
  const save = (app: FakeApp, id: string) =>
    ask(app.server, '/snapshots', { body: { 'job-id': id, tag: `tag-${id}`, vmstate: 'disk0', devices: ['disk0'] } });

  test('does not prevent a migration, and neither do jobs that wait behind it', async () => {
    const app = await fakeApp();
    app.blocks.hold('save');
    await save(app, 'first');
    await save(app, 'second');
    await ask(app.server, '/jobs/second/pause', { method: 'POST' });
    await save(app, 'third');
    const blocked = await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    expect([blocked.status, blocked.json.code]).toEqual([409, 'job_in_progress']);
    await ask(app.server, '/jobs/first/cancel', { method: 'POST', headers: { prefer: 'wait=10' } });
    expect((await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } })).status).toBe(202);
    await ask(app.server, '/jobs/second/resume', { method: 'POST' });
    await expect.poll(async () => (await ask(app.server, '/jobs/second')).text).toContain('is in progress');
  });
});
