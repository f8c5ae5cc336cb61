import { describe, expect, it } from 'vitest';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf } from '../fakes/refusal.ts';
import { BOTH, endOf, expectRuns, guestEvents, reached, snapshotWorld } from './world.ts';

const ERROR = { code: 'no_space', message: 'No space is left.' } as const;
const SAVE = { jobId: 'j', tag: 'a', ...BOTH };

describe('a save', () => {
  it('stops the guest until it is captured, and resumes it while digests are computed', async () => {
    const world = snapshotWorld();
    const { domain, machine, blocks } = world;
    const captures = blocks.hold('save');
    const digests = blocks.hold('digests');
    const job = domain.snapshots.save(SAVE);
    expect(job).toMatchObject({ id: 'j', type: 'snapshot-save', details: { tag: 'a', vmstate: 'disk0' } });
    await reached(world, 'save', 'a');
    expect(domain.machine.status()).toEqual({ running: false, status: 'save-vm' });
    expect(machine.isHeldFor('snapshot')).toBe(true);
    expect(guestEvents(world)).toEqual(['STOP']);
    captures.open();
    await reached(world, 'digests', 'a');
    await expect.poll(() => domain.machine.status().status).toBe('running');
    expect(domain.jobs.get('j').outcome).toBeNull();
    expectRuns(world);
    digests.open();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed', warnings: [], phase: null });
    expect(domain.jobs.get('j').result).toEqual({ tag: 'a', 'vm-state-size': 2 ** 20, existed: false });
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expect(domain.snapshots.get('a')).toMatchObject({ isConsistent: true, vmState: 'disk0' });
  });

  it('stores the run state of the guest before it was stopped, and the time', async () => {
    const world = snapshotWorld();
    await endOf(world, world.domain.snapshots.save(SAVE));
    await world.domain.machine.stop();
    await endOf(world, world.domain.snapshots.save({ ...SAVE, jobId: 'k', tag: 'b' }));
    const plan = { vmState: 'disk0', devices: ['disk0', 'disk1'], dateMs: world.time.now() };
    expect(world.blocks.saves).toMatchObject([
      { tag: 'a', globalState: 'running', clockNs: world.machine.clockNs(), ...plan },
      { tag: 'b', globalState: 'paused', ...plan },
    ]);
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME', 'STOP']);
    expect(world.domain.machine.status().status).toBe('paused');
  });

  it('stores the devices as they were when the guest was stopped, whatever is changed later', async () => {
    const world = snapshotWorld();
    const body = new Uint8Array(new SharedArrayBuffer(4)).fill(1);
    const device = { idstr: 'workload', instanceId: 0, versionId: 1, fields: [], body };
    const source = world.machine.transferSource();
    world.machine.transferSource = () => ({ ...source, state: { form: 'devices', devices: [device] } });
    const gate = world.blocks.hold('save');
    const job = world.domain.snapshots.save(SAVE);
    await reached(world, 'save', 'a');
    body.fill(2);
    gate.open();
    await endOf(world, job);
    expect(world.blocks.saves[0]?.source.state).toEqual({
      form: 'devices',
      devices: [{ ...device, body: new Uint8Array(new SharedArrayBuffer(4)).fill(1) }],
    });
  });

  it.each(['save', 'digests'] as const)('that fails at %s leaves no tag, and the guest continues', async (step) => {
    const world = snapshotWorld();
    world.blocks.failures.set(step, ERROR);
    const job = await endOf(world, world.domain.snapshots.save(SAVE));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'no_space', errorDescription: ERROR.message });
    expect(world.blocks.tags('disk0')).toEqual([]);
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expectRuns(world);
  });

  it.each(['save', 'digests'] as const)(
    'that is cancelled at %s leaves no tag, and the guest continues',
    async (step) => {
      const world = snapshotWorld();
      world.blocks.hold(step);
      const job = world.domain.snapshots.save(SAVE);
      await reached(world, step, 'a');
      world.domain.jobs.apply('j', 'cancel');
      expect(await endOf(world, job)).toMatchObject({ outcome: 'cancelled' });
      expect(world.blocks.tags('disk1')).toEqual([]);
      expectRuns(world);
    },
  );

  it('that cannot remove its changes keeps its phase, so that the next start removes them', async () => {
    const world = snapshotWorld();
    world.blocks.failures.set('digests', { ...ERROR, left: true });
    const job = await endOf(world, world.domain.snapshots.save(SAVE));
    const dateMs = world.blocks.saves[0]!.dateMs;
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'no_space', phase: 'write' });
    expect(job.recovery).toEqual({
      tag: 'a',
      parts: ['disk0', 'disk1'].map((node) => ({ node, path: `/data/${node}.qcow2`, dateMs })),
    });
    expectRuns(world);
  });

  it('whose last phase cannot be stored is undone, and fails', async () => {
    const world = snapshotWorld();
    const { jobs } = world.store;
    const save = jobs.save.bind(jobs);
    Object.assign(jobs, {
      save: (record: Parameters<typeof save>[0]) => {
        if (record.phase === 'done') throw new Error('the disk is full');
        save(record);
      },
    });
    expect(await endOf(world, world.domain.snapshots.save(SAVE))).toMatchObject({ outcome: 'failed', phase: null });
    expect(world.blocks.tags()).toEqual([]);
  });

  it.each(['save', 'digests'] as const)('is undone at %s when the service closes', async (step) => {
    const world = snapshotWorld();
    world.blocks.hold(step);
    world.domain.snapshots.save(SAVE);
    await reached(world, step, 'a');
    await world.domain.close();
    expect(world.store.jobs.get('j')).toMatchObject({ outcome: 'cancelled', phase: null });
    expect(world.blocks.tags()).toEqual([]);
    expect(world.machine.isHeldFor('snapshot')).toBe(false);
    expect(refusalOf(() => world.domain.snapshots.save({ ...SAVE, jobId: 'k' }))).toMatchObject({
      code: 'shutting_down',
    });
  });

  it('whose guest does not stop fails, and the guest is released', async () => {
    const world = snapshotWorld();
    const { machine } = world;
    const hold = machine.hold.bind(machine);
    machine.hold = async (reason) => {
      await hold(reason);
      throw new Error('a vCPU does not stop');
    };
    const job = await endOf(world, world.domain.snapshots.save(SAVE));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'job_failed' });
    expect(world.domain.machine.status().status).toBe('running');
    expect(machine.isHeldFor('snapshot')).toBe(false);
    expect(world.blocks.saves).toEqual([]);
  });

  it('whose phase cannot be stored changes no image', async () => {
    const world = snapshotWorld();
    const { jobs } = world.store;
    const save = jobs.save.bind(jobs);
    Object.assign(jobs, {
      save: (record: Parameters<typeof save>[0]) => {
        if (record.phase !== null) throw new Error('the disk is full');
        save(record);
      },
    });
    expect(await endOf(world, world.domain.snapshots.save(SAVE))).toMatchObject({ outcome: 'failed' });
    expect(world.blocks.log).toEqual([]);
    expect(world.domain.machine.status().status).toBe('running');
    expect(world.machine.isHeldFor('snapshot')).toBe(false);
  });

  it('of some of the disks has a warning about the others', async () => {
    const world = snapshotWorld();
    const job = await endOf(world, world.domain.snapshots.save({ ...SAVE, devices: ['disk0'] }));
    expect(job.outcome).toBe('completed');
    expect(job.warnings).toEqual([expect.stringContaining("'disk1'")]);
    const three = new MemoryBlocks([{ name: 'disk0' }, { name: 'disk1' }, { name: 'disk2' }]);
    const wide = snapshotWorld({ blocks: three });
    const other = await endOf(wide, wide.domain.snapshots.save({ ...SAVE, devices: ['disk0'] }));
    expect(other.warnings).toEqual([expect.stringMatching(/^'disk1', 'disk2' .* and are not part .* their content/)]);
  });

  it('of a tag that was created while it waited fails without stopping the guest', async () => {
    const world = snapshotWorld();
    const first = world.domain.snapshots.save(SAVE);
    const second = world.domain.snapshots.save({ ...SAVE, jobId: 'k' });
    expect(await endOf(world, first)).toMatchObject({ outcome: 'completed' });
    expect(await endOf(world, second)).toMatchObject({ outcome: 'failed', errorCode: 'snapshot_exists' });
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expect(world.blocks.saves).toHaveLength(1);
  });
});

describe('while a guest is captured', () => {
  it('a stop keeps it stopped afterwards, and a cont reverts that', async () => {
    const world = snapshotWorld();
    const { domain, blocks } = world;
    for (const [tag, wanted] of Object.entries({ a: 'paused', b: 'running' })) {
      const gate = blocks.hold('save');
      const job = domain.snapshots.save({ ...SAVE, jobId: `j${tag}`, tag });
      await reached(world, 'save', tag);
      if (tag === 'a') await domain.machine.stop();
      else await domain.machine.cont();
      expect(domain.machine.status().status).toBe('save-vm');
      gate.open();
      await endOf(world, job);
      expect(domain.machine.status().status).toBe(wanted);
    }
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expectRuns(world);
  });

  it('a guest that panics is panicked afterwards', async () => {
    const world = snapshotWorld();
    const gate = world.blocks.hold('save');
    const job = world.domain.snapshots.save(SAVE);
    await reached(world, 'save', 'a');
    world.machine.panic();
    await expect(world.domain.machine.cont()).rejects.toMatchObject({ code: 'machine_reset_required' });
    gate.open();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed' });
    expect(world.domain.machine.status().status).toBe('guest-panicked');
    expect(guestEvents(world)).toEqual(['STOP', 'GUEST_PANICKED pause']);
  });

  it('a machine whose vCPU dies stays in internal-error, and cannot be saved again', async () => {
    const world = snapshotWorld();
    const gate = world.blocks.hold('save');
    const job = world.domain.snapshots.save(SAVE);
    await reached(world, 'save', 'a');
    world.machine.panic('vcpu-died');
    gate.open();
    await endOf(world, job);
    expect(world.domain.machine.status().status).toBe('internal-error');
    expect(world.machine.isHeldFor('snapshot')).toBe(false);
    expect(refusalOf(() => world.domain.snapshots.checkSave({ ...SAVE, tag: 'b' }))).toMatchObject({
      code: 'machine_reset_required',
    });
  });

  it('an image that cannot run is not resumed', async () => {
    const machine = new FakeMachine('image');
    machine.isLoaded = true;
    const world = snapshotWorld({ machine });
    const gate = world.blocks.hold('save');
    const job = world.domain.snapshots.save(SAVE);
    await reached(world, 'save', 'a');
    await expect(world.domain.machine.cont()).rejects.toMatchObject({ code: 'machine_cannot_run' });
    gate.open();
    await endOf(world, job);
    expect(world.domain.machine.status().status).toBe('prelaunch');
  });
});
