/** Records which verbs a job accepts in which state, its sequence of states, and its listing. */
import { spawnSync } from 'node:child_process';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';
import { versionOf } from './answer.ts';

const VERBS = ['job-complete', 'job-finalize', 'job-dismiss', 'job-resume', 'job-pause', 'job-cancel'] as const;
/** How to bring a job into each state: a command for a backup or a mirror, and the verbs that follow. */
const WAYS: Readonly<
  Record<string, { readonly command: string; readonly rest: JsonObject; readonly steps: string[] }>
> = {
  running: { command: 'blockdev-backup', rest: { speed: 65536 }, steps: [] },
  paused: { command: 'blockdev-backup', rest: { speed: 65536 }, steps: ['job-pause'] },
  ready: { command: 'blockdev-mirror', rest: {}, steps: [] },
  standby: { command: 'blockdev-mirror', rest: {}, steps: ['job-pause'] },
  pending: { command: 'blockdev-backup', rest: { 'auto-finalize': false }, steps: [] },
  concluded: { command: 'blockdev-backup', rest: {}, steps: [] },
};
const IDS = ['a', 'Z9', 'a-b.c_D9', 'history', 'a'.repeat(256), '', '1a', '_a', '-a', '.a', 'a b', 'a/b', 'a#', 'é'];
const DISK_BYTES = '8M';

export async function askJobs(binary: string): Promise<object> {
  await using qemu = await launchQemu({ binary, paused: true, ramMebibytes: 2 });
  for (const name of ['disk0', 'target']) await addDisk(qemu, name);
  const verbs = [];
  for (const status of Object.keys(WAYS)) for (const verb of VERBS) verbs.push(await verbFact(qemu, status, verb));
  const sequences = await snapshotFacts(qemu);
  const ids = [];
  for (const id of IDS) ids.push({ id, isAccepted: await isAccepted(qemu, id) });
  return { qemuVersion: await versionOf(qemu), verbs, sequences, ids };
}

async function addDisk(qemu: Qemu, name: string): Promise<void> {
  const filename = qemu.path(`${name}.qcow2`);
  const made = spawnSync('qemu-img', [
    'create',
    '-q',
    '-f',
    'qcow2',
    '-o',
    'preallocation=metadata',
    filename,
    DISK_BYTES,
  ]);
  if (made.status !== 0) throw new Error(`qemu-img did not create ${filename}.`);
  const file = { driver: 'file', filename };
  await qemu.qmp.execute('blockdev-add', { driver: 'qcow2', 'node-name': name, file });
}

async function verbFact(qemu: Qemu, status: string, verb: string): Promise<object> {
  const id = `${status}-${verb}`;
  const { command, rest, steps } = WAYS[status]!;
  const plan = { 'job-id': id, device: 'disk0', target: 'target', sync: 'full', 'auto-dismiss': false, ...rest };
  await qemu.qmp.execute(command, plan);
  // A backup with a rate limit stays in `running` after its first step. The other jobs reach the state in which they are held.
  if (steps.length > 0 || status !== 'running') await reached(qemu, id, steps.length > 0 ? BEFORE[status]! : status);
  for (const step of steps) await qemu.qmp.execute(step, { id });
  if (steps.length > 0) await reached(qemu, id, status);
  const reply = await qemu.qmp.executeText(verb, JSON.stringify({ id }));
  await remove(qemu, id);
  return { status, verb, errorClass: reply.kind === 'error' ? reply.class : null };
}

const BEFORE: Readonly<Record<string, string>> = { paused: 'running', standby: 'ready' };

async function reached(qemu: Qemu, id: string, status: string): Promise<void> {
  await qemu.qmp.waitForEvent('JOB_STATUS_CHANGE', { matches: (data) => data.id === id && data.status === status });
}

async function remove(qemu: Qemu, id: string): Promise<void> {
  const isThere = async () => ((await qemu.qmp.execute('query-jobs')) as JsonObject[]).some((job) => job.id === id);
  if (!(await isThere())) return;
  await qemu.qmp.executeText('job-cancel', JSON.stringify({ id }));
  await reached(qemu, id, 'concluded');
  await qemu.qmp.execute('job-dismiss', { id });
}

async function snapshotFacts(qemu: Qemu): Promise<readonly object[]> {
  const devices = ['disk0'];
  const there = { tag: 'a', vmstate: 'disk0', devices };
  const nowhere = { tag: 'z', vmstate: 'disk0', devices };
  return [
    await sequenceOf(qemu, 'snapshot-save', there),
    await sequenceOf(qemu, 'snapshot-save', there),
    await sequenceOf(qemu, 'snapshot-load', there),
    await sequenceOf(qemu, 'snapshot-load', nowhere),
    await sequenceOf(qemu, 'snapshot-delete', { tag: 'a', devices }),
    await sequenceOf(qemu, 'snapshot-delete', { tag: 'a', devices: ['nowhere'] }),
  ];
}

async function sequenceOf(qemu: Qemu, command: string, rest: JsonObject): Promise<object> {
  const id = `s${qemu.qmp.events.length}`;
  await qemu.qmp.execute(command, { 'job-id': id, ...rest });
  await reached(qemu, id, 'concluded');
  const [info] = (await qemu.qmp.execute('query-jobs')) as JsonObject[];
  await qemu.qmp.execute('job-dismiss', { id });
  await reached(qemu, id, 'null');
  const steps = qemu.qmp.events.filter(({ event, data }) => event === 'JOB_STATUS_CHANGE' && data.id === id);
  return { command, members: Object.keys(info ?? {}).sort(), steps: steps.map(({ data }) => data.status) };
}

async function isAccepted(qemu: Qemu, id: string): Promise<boolean> {
  const plan = JSON.stringify({ 'job-id': id, tag: 'a', devices: ['disk0'] });
  return (await qemu.qmp.executeText('snapshot-delete', plan)).kind === 'result';
}
