import { once } from 'node:events';
import { join } from 'node:path';
import { QMPClient, QmpCommandError } from 'node-qemu';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { startService } from '../helpers/service.ts';

/* A client that nobody here wrote, made for QEMU: what it needs of us is what QEMU gives it. */

const SMALL = ['--ram', '16M', '--workload', 'rate=1M,span=1M'];

async function connected(flags: readonly string[], oob = false) {
  const path = join(temporaryDirectory(), 'qmp');
  const service = await startService([...SMALL, '--qmp', `unix:${path}`, ...flags]);
  await service.app.listenQmp();
  const client = new QMPClient({ socketPath: path, oob });
  onTestFinished(() => client.close());
  await client.connect();
  return { service, client };
}

test('node-qemu sets parameters, migrates, and follows the events', async () => {
  const { service: target, client: other } = await connected(['--incoming', 'tcp:127.0.0.1:0']);
  const { client } = await connected([]);
  expect((await client.queryVersion()).qemu).toMatchObject({ major: 10, minor: 0 });
  await client.migrateSetCapabilities([{ capability: 'events', state: true }]);
  await client.migrateSetParameters({ 'downtime-limit': 500 });
  expect(await client.queryMigrateParameters()).toMatchObject({ 'downtime-limit': 500 });
  await expect(client.migrateSetParameters({ 'downtime-limit': -1 })).rejects.toThrow(QmpCommandError);
  const statuses: string[] = [];
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  client.on('MIGRATION', ({ status }) => {
    statuses.push(status);
    if (status === 'completed' || status === 'failed') resolve();
  });
  const stopped = once(client, 'STOP');
  const resumed = once(other, 'RESUME');
  await client.migrate({ uri: await target.listeningUri() });
  await Promise.all([ended, stopped, resumed]);
  expect(statuses).toEqual(['setup', 'active', 'device', 'completed']);
  expect(await client.queryMigrate()).toMatchObject({ status: 'completed' });
  expect(await client.queryStatus()).toEqual({ running: false, status: 'postmigrate' });
  expect(await other.queryStatus()).toEqual({ running: true, status: 'running' });
});

test('node-qemu takes a snapshot and follows its job', async () => {
  const { client } = await connected([]);
  const states: string[] = [];
  const { promise: concluded, resolve } = Promise.withResolvers<void>();
  client.on('JOB_STATUS_CHANGE', ({ id, status }) => {
    states.push(`${id} ${status}`);
    if (status === 'concluded') resolve();
  });
  await client.snapshotSave({ 'job-id': 'save0', tag: 'warm', vmstate: 'disk0', devices: ['disk0'] });
  await concluded;
  expect(states).toEqual(['created', 'running', 'waiting', 'pending', 'concluded'].map((state) => `save0 ${state}`));
  expect(await client.queryJobs()).toMatchObject([{ id: 'save0', type: 'snapshot-save', status: 'concluded' }]);
  await client.jobDismiss('save0');
  expect(await client.queryJobs()).toEqual([]);
  await expect(client.jobDismiss('save0')).rejects.toMatchObject({ qmpClass: 'GenericError' });
});

test('the out-of-band form of QEMU before 3.0 is refused as by QEMU 10.0', async () => {
  const { client } = await connected([], true);
  await expect(client.executeOob('migrate-pause')).rejects.toMatchObject({
    qmpClass: 'GenericError',
    description: expect.stringContaining("'control'"),
  });
  expect(await client.humanMonitorCommand('info status')).toBe('VM status: running\r\n');
});
