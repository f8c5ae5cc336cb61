import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Jobs } from '../../../src/domain/jobs/jobs.ts';
import { Settings } from '../../../src/domain/settings/settings.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import type { FakeWorld } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf, rejectionOf } from '../fakes/refusal.ts';
import { BOTH, endOf, expectRuns, putBoth, reached, snapshotWorld } from './world.ts';

const NEW = { jobId: 'j', tag: 'new', ...BOTH };
const OLD = { jobId: 'j', tag: 'old', ...BOTH };
const DISKS = [{ name: 'disk0' }, { name: 'disk1' }, { name: 'rom', isReadOnly: true }];

function world(change: Parameters<typeof snapshotWorld>[0] = {}): FakeWorld {
  const made = snapshotWorld({ blocks: new MemoryBlocks(DISKS), ...change });
  putBoth(made, 'old');
  made.blocks.put('rom', { tag: 'old' });
  return made;
}

/** The codes of the refusals of a save, a load, a deletion and a verification; null if accepted. */
function refusals({ domain: { snapshots } }: FakeWorld): readonly (string | null)[] {
  const started = [
    () => snapshots.checkSave(NEW),
    () => snapshots.checkLoad(OLD),
    () => snapshots.checkDelete(OLD),
    () => snapshots.verify({ ...OLD, jobId: 'm' }),
  ];
  return started.map((work) => refusalOf(work)?.code ?? null);
}

describe('nodes of a snapshot', () => {
  it.each([
    [{ devices: [] }, 'invalid_devices', '/devices'],
    [{ devices: ['disk0', 'disk0'] }, 'invalid_devices', '/devices/1'],
    [{ vmState: 'disk0', devices: ['disk1'] }, 'invalid_devices', '/vmstate'],
    [{ devices: ['disk0', 'disk9'] }, 'node_not_found', '/devices/1'],
    [{ vmState: 'disk9' }, 'node_not_found', '/vmstate'],
    [{ devices: ['disk0', 'rom'] }, 'node_read_only', null],
  ] as const)('%j are refused as %s, before a job exists and by the job', async (change, code, pointer) => {
    const made = world();
    const { snapshots } = made.domain;
    const [save, load] = [
      { ...NEW, ...change },
      { ...OLD, jobId: 'k', ...change },
    ];
    for (const check of [() => snapshots.checkSave(save), () => snapshots.checkLoad(load)]) {
      const refusal = refusalOf(check);
      expect(refusal).toMatchObject({ code });
      if (pointer !== null) expect(refusal?.violations).toMatchObject([{ pointer }]);
    }
    expect(made.domain.jobs.list()).toEqual([]);
    for (const job of [snapshots.save(save), snapshots.load(load)])
      expect(await endOf(made, job)).toMatchObject({ outcome: 'failed', errorCode: code });
    expect([made.blocks.log, made.events().filter((name) => name === 'STOP')]).toEqual([[], []]);
    expectRuns(made);
  });

  it('may be read-only for a verify only', () => {
    const { domain } = world();
    expect(refusalOf(() => domain.snapshots.verify({ ...OLD, vmState: null, devices: ['rom'] }))).toBeNull();
    expect(refusalOf(() => domain.snapshots.checkDelete({ ...OLD, devices: ['rom'] }))).toMatchObject({
      code: 'node_read_only',
    });
  });

  it('with a tag are not saved with it again, and are loaded only by it', () => {
    const { domain, blocks } = world();
    blocks.put('disk1', { tag: 'half' });
    expect(refusalOf(() => domain.snapshots.checkSave({ ...NEW, tag: 'half' }))).toMatchObject({
      code: 'snapshot_exists',
    });
    for (const tag of ['half', 'none', '1']) {
      expect(refusalOf(() => domain.snapshots.checkLoad({ ...OLD, tag }))).toMatchObject({
        code: 'snapshot_not_found',
      });
    }
  });

  it('with only the disk in a snapshot give no machine, whether the guest runs or not', async () => {
    const { domain } = world();
    const refused = () => refusalOf(() => domain.snapshots.checkLoad({ ...OLD, vmState: 'disk1' }))?.code;
    expect(refused()).toBe('snapshot_without_vm_state');
    await domain.machine.stop();
    expect(refused()).toBe('snapshot_without_vm_state');
  });
});

describe('a machine that cannot be used by jobs', () => {
  it('in inmigrate is refused, and so are its disks', () => {
    const made = world({ incoming: true });
    expect(refusals(made)).toEqual(['machine_inmigrate', 'machine_inmigrate', 'machine_inmigrate', null]);
  });

  it('that has left is refused, and so are its disks', async () => {
    const made = world();
    const { id } = made.domain.migration.start({ uri: 'tcp:h:1' });
    made.outgoing().step('active');
    expect(refusals(made)).toEqual(['migration_in_progress', 'migration_in_progress', null, null]);
    const tooEarly = await endOf(made, made.domain.snapshots.load({ ...OLD, jobId: 'early' }));
    expect(tooEarly).toMatchObject({ outcome: 'failed', errorCode: 'migration_in_progress' });
    made.outgoing().step('device');
    made.outgoing().finish('completed');
    await made.domain.migration.ended(id, 1000);
    await expect.poll(() => made.domain.jobs.list().every(({ outcome }) => outcome !== null)).toBe(true);
    expect(refusalOf(() => made.domain.snapshots.checkDelete(OLD))).toMatchObject({
      code: 'machine_postmigrate',
    });
    expect(refusalOf(() => made.domain.snapshots.checkSave(NEW))?.code).toBe('machine_postmigrate');
  });

  it('that is empty cannot be saved, but can be loaded', async () => {
    const made = world({ machine: new FakeMachine('image') });
    expect(refusalOf(() => made.domain.snapshots.checkSave(NEW))).toMatchObject({ code: 'machine_not_loaded' });
    expect(await endOf(made, made.domain.snapshots.load(OLD))).toMatchObject({ outcome: 'completed' });
    expect(made.domain.machine.status().status).toBe('prelaunch');
    expect(refusalOf(() => made.domain.snapshots.checkSave(NEW))).toBeNull();
  });

  it.each(['multifd', 'mapped-ram'])('cannot be saved or loaded while %s is on', (capability) => {
    const made = world();
    // Neither capability can be switched on yet.
    const has = vi.spyOn(Settings.prototype, 'has').mockImplementation((name) => name === capability);
    onTestFinished(() => has.mockRestore());
    expect(refusals(made)).toEqual(['snapshot_with_capability', 'snapshot_with_capability', null, null]);
    expect(refusalOf(() => made.domain.snapshots.checkSave(NEW))?.message).toContain(capability);
  });
});

describe('a migration and a job that needs the machine', () => {
  it('exclude each other, even while the job only waits, and the error names the job', async () => {
    const made = world();
    const gate = made.blocks.hold('verify');
    made.domain.snapshots.verify({ ...OLD, jobId: 'slow' });
    await reached(made, 'verify', 'old');
    const job = made.domain.snapshots.save(NEW);
    expect(made.domain.jobs.get('j').status).toBe('created');
    const refusal = refusalOf(() => made.domain.migration.start({ uri: 'tcp:h:1' }));
    expect(refusal).toMatchObject({ code: 'job_in_progress', kind: 'conflict' });
    expect(refusal?.message).toContain("'j'");
    gate.open();
    expect(await endOf(made, job)).toMatchObject({ outcome: 'completed' });
    expect(refusalOf(() => made.domain.migration.start({ uri: 'tcp:h:1' }))).toBeNull();
  });

  it('run at the same time if the job needs only a node', async () => {
    const made = world();
    made.blocks.hold('verify');
    made.domain.snapshots.verify(OLD);
    await reached(made, 'verify', 'old');
    expect(refusalOf(() => made.domain.migration.start({ uri: 'tcp:h:1' }))).toBeNull();
  });

  it('are checked again when the job starts', async () => {
    const made = world();
    const gate = made.blocks.hold('delete');
    made.domain.snapshots.delete({ ...OLD, jobId: 'first' });
    await reached(made, 'delete', 'old');
    const job = made.domain.snapshots.load({ ...OLD, jobId: 'second' });
    gate.open();
    expect(await endOf(made, job)).toMatchObject({ outcome: 'failed', errorCode: 'snapshot_not_found' });
    expectRuns(made);
  });

  it('exclude each other if the migration is incoming', async () => {
    const made = world({ incoming: true });
    // No existing job type starts in this state, so the test uses its own.
    const jobs = made.domain.jobs as Jobs;
    const run = () => new Promise<void>((resolve) => void made.time.schedule(resolve, 1000));
    jobs.start({ id: 'j', type: 'other', resources: ['machine'], details: {}, run });
    const refusal = await rejectionOf(made.domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' }));
    expect([refusal?.code, made.incoming()]).toEqual(['job_in_progress', undefined]);
    await expect.poll(() => made.time.pending).toBe(1);
    made.time.pass(1000);
    await expect.poll(() => jobs.get('j').outcome).toBe('completed');
  });
});
