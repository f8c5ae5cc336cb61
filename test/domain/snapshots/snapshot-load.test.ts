import { describe, expect, it } from 'vitest';
import { refusalOf } from '../fakes/refusal.ts';
import { BOTH, endOf, expectRuns, guestEvents, putBoth, reached, snapshotWorld } from './world.ts';

const ERROR = { code: 'image_io_error', message: 'The image cannot be written.' } as const;
const CRASH = { code: 'engine_crashed', message: 'The block thread died.' } as const;
const LOAD = { jobId: 'j', tag: 'a', ...BOTH };

function loadable(change: Parameters<typeof snapshotWorld>[0] = {}) {
  const world = snapshotWorld(change);
  putBoth(world, 'a');
  const discarded: number[] = [];
  const discard = world.machine.discardLoadTarget.bind(world.machine);
  world.machine.discardLoadTarget = () => {
    discarded.push(discarded.length);
    discard();
  };
  return { ...world, discarded };
}

function diskContents({ blocks }: ReturnType<typeof loadable>): readonly string[] {
  return [...blocks.disks.values()];
}

describe('a load', () => {
  it('reads and checks everything, and then switches the disks and adopts the guest', async () => {
    const world = loadable();
    const { domain, machine, blocks } = world;
    const gate = blocks.hold('load');
    const job = domain.snapshots.load(LOAD);
    await reached(world, 'load', 'a');
    expect(domain.machine.status()).toEqual({ running: false, status: 'restore-vm' });
    expect([diskContents(world), machine.adopted]).toEqual([['guest', 'guest'], null]);
    gate.open();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed', result: { tag: 'a' }, warnings: [] });
    expect(blocks.log).toEqual(['load a', 'apply a', 'release a']);
    expect(diskContents(world)).toEqual(['a', 'a']);
    expect(machine.adopted).not.toBeNull();
    expect(blocks.loads).toMatchObject([{ tag: 'a', vmState: 'disk0', uuid: '00000000-0000-4000-8000-000000000001' }]);
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expectRuns(world);
  });

  it('keeps a running guest running and a stopped guest stopped, whatever the run state in the snapshot', async () => {
    const world = loadable();
    const { domain, machine } = world;
    await domain.machine.stop();
    world.blocks.loaded = { globalState: 'running' };
    await endOf(world, domain.snapshots.load(LOAD));
    expect(domain.machine.status().status).toBe('paused');
    expect(machine.runs).toBe(false);
    expect(guestEvents(world)).toEqual(['STOP']);
    await domain.machine.cont();
    world.blocks.loaded = { globalState: 'paused' };
    await endOf(world, domain.snapshots.load({ ...LOAD, jobId: 'k' }));
    expectRuns(world);
  });

  it('uses the capabilities of its check, even if they are changed while the guest is stopped', async () => {
    const world = loadable();
    const hold = world.machine.hold.bind(world.machine);
    world.machine.hold = async (reason) => {
      world.domain.settings.setCapabilities([{ capability: 'return-path', state: true }]);
      await hold(reason);
    };
    expect(await endOf(world, world.domain.snapshots.load(LOAD))).toMatchObject({ outcome: 'completed' });
    expect(world.blocks.loads[0]?.capabilities).toEqual(['events']);
  });

  it('keeps a guest that never ran in prelaunch', async () => {
    const world = loadable({ startPaused: true });
    await endOf(world, world.domain.snapshots.load(LOAD));
    expect(world.domain.machine.status().status).toBe('prelaunch');
    expect(guestEvents(world)).toEqual([]);
  });

  it.each(['load', 'apply'] as const)('that fails at %s leaves guest and disks unchanged', async (step) => {
    const world = loadable();
    world.blocks.failures.set(step, ERROR);
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: ERROR.code, phase: null });
    expect(world.machine.adopted).toBeNull();
    expect(diskContents(world)).toEqual(['guest', 'guest']);
    expect(world.discarded).toHaveLength(1);
    expect(guestEvents(world)).toEqual(['STOP', 'RESUME']);
    expectRuns(world);
  });

  it('names the damaged place of a snapshot, and changes nothing', async () => {
    const world = loadable();
    const place = { node: 'disk0', ramBlock: 'pc.ram', area: 'ram', offset: 4096, bytes: 1, fileOffset: null } as const;
    world.blocks.failures.set('load', { code: 'snapshot_damaged', message: 'It is damaged.', damage: [place] });
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    const shown = { node: 'disk0', 'ram-block': 'pc.ram', area: 'ram', offset: 4096, bytes: 1, 'file-offset': null };
    expect(job).toMatchObject({ errorCode: 'snapshot_damaged', result: { damage: [shown] } });
    expectRuns(world);
  });

  it('and a verify warn of parts with different dates', async () => {
    const world = snapshotWorld();
    world.blocks.put('disk0', { tag: 'a', dateMs: 1 });
    world.blocks.put('disk1', { tag: 'a', dateMs: 2, vmStateBytes: 1 });
    const warning = expect.stringMatching(/'disk0' .*"a" was taken in another moment than that on 'disk1'/);
    const both = { ...LOAD, vmState: 'disk1' };
    for (const job of [world.domain.snapshots.verify(both), world.domain.snapshots.load({ ...both, jobId: 'k' })])
      expect(await endOf(world, job)).toMatchObject({ outcome: 'completed', warnings: [warning] });
    const one = { jobId: 'm', tag: 'a', vmState: null, devices: ['disk0'] };
    expect(await endOf(world, world.domain.snapshots.verify(one))).toMatchObject({ warnings: [] });
  });

  it('that the machine refuses switches the disks back, and the guest continues', async () => {
    const world = loadable();
    world.machine.refusal = new Error('another number of vCPUs');
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'machine_refused' });
    expect(job.errorDescription).toContain('another number of vCPUs');
    expect(world.blocks.log).toEqual(['load a', 'apply a', 'revert a']);
    expect(diskContents(world)).toEqual(['guest', 'guest']);
    expectRuns(world);
  });

  it('whose disks cannot be switched back leaves the guest stopped until an operator resumes it', async () => {
    const world = loadable();
    world.machine.refusal = new Error('no');
    world.blocks.failures.set('revert', ERROR);
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: ERROR.code, phase: 'apply' });
    expect(world.domain.machine.status().status).toBe('paused');
    expect([...world.machine.held]).toEqual(['operator']);
    await world.domain.machine.cont();
    expect(world.machine.runs).toBe(true);
  });

  it('that cannot store its phase switches no disk', async () => {
    const world = loadable();
    const { jobs } = world.store;
    const save = jobs.save.bind(jobs);
    Object.assign(jobs, {
      save: (record: Parameters<typeof save>[0]) => {
        if (record.phase !== null) throw new Error('the disk is full');
        save(record);
      },
    });
    expect(await endOf(world, world.domain.snapshots.load(LOAD))).toMatchObject({ outcome: 'failed' });
    expect(world.blocks.log).toEqual(['load a']);
    expect(world.domain.machine.status().status).toBe('running');
  });

  it.each([
    ['adopted', 'release'],
    ['refused', 'revert'],
  ] as const)('of a machine that was %s is at phase %s before a guest runs again', async (outcome, phase) => {
    const world = loadable();
    if (outcome === 'refused') world.machine.refusal = new Error('no');
    const phases: (string | null | undefined)[] = [];
    const release = world.machine.release.bind(world.machine);
    world.machine.release = (reason) => {
      phases.push(world.store.jobs.get('j')?.phase);
      release(reason);
    };
    await endOf(world, world.domain.snapshots.load(LOAD));
    expect(phases[0]).toBe(phase);
  });

  it('whose thread dies during the switch completes the switch of all disks for the adopted machine', async () => {
    const world = loadable();
    world.blocks.failures.set('apply', CRASH);
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'completed', warnings: [expect.stringContaining(CRASH.message)] });
    expect(world.blocks.log).toEqual(['load a', 'apply a', 'apply-disks a', 'release a']);
    expect(diskContents(world)).toEqual(['a', 'a']);
    expect(world.machine.adopted).not.toBeNull();
    expectRuns(world);
  });

  it('whose disks are in an unknown state leaves the guest stopped until an operator resumes it', async () => {
    const world = loadable();
    world.blocks.failures.set('apply', CRASH);
    world.blocks.failures.set('apply-disks', ERROR);
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: CRASH.code, phase: 'apply' });
    expect([world.domain.machine.status().status, world.machine.adopted]).toEqual(['paused', null]);
    expect([...world.machine.held]).toEqual(['operator']);
  });

  it('with an unknown result of the switch leaves the guest stopped, and the next start switches the disks', async () => {
    const world = loadable();
    world.blocks.failures.set('apply', { code: 'disks_in_doubt', message: 'disk0 could not be turned back.' });
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'failed', errorCode: 'disks_in_doubt', phase: 'apply' });
    expect(job.recovery).toMatchObject({ parts: [{ node: 'disk0', path: '/data/disk0.qcow2' }, { node: 'disk1' }] });
    expect([world.domain.machine.status().status, [...world.machine.held]]).toEqual(['paused', ['operator']]);
    const next = snapshotWorld({ store: world.store, blocks: world.blocks });
    await next.domain.recovered();
    expect(diskContents(world)).toEqual(['a', 'a']);
    expect(world.store.jobs.get('j')?.phase).toBeNull();
  });

  it('that cannot store its phase after the adoption stores it as soon as a write succeeds', async () => {
    const world = loadable();
    const { jobs } = world.store;
    const save = jobs.save.bind(jobs);
    let isFull = false;
    Object.assign(jobs, {
      save: (record: Parameters<typeof save>[0]) => {
        if (isFull) throw new Error('the disk is full');
        save(record);
      },
    });
    const adopt = world.machine.adopt.bind(world.machine);
    world.machine.adopt = (loaded) => {
      adopt(loaded);
      isFull = true;
    };
    const gate = world.blocks.hold('release');
    const job = world.domain.snapshots.load(LOAD);
    await reached(world, 'release', 'a');
    expect(jobs.get('j')?.phase).toBe('apply');
    isFull = false;
    world.domain.jobs.apply('j', 'pause');
    expect(jobs.get('j')?.phase).toBe('release');
    world.domain.jobs.apply('j', 'resume');
    gate.open();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed' });
  });

  it('completes with a warning if only the former disk contents cannot be freed', async () => {
    const world = loadable();
    world.blocks.failures.set('release', ERROR);
    const job = await endOf(world, world.domain.snapshots.load(LOAD));
    expect(job).toMatchObject({ outcome: 'completed', warnings: [expect.stringContaining(ERROR.message)] });
    expect(world.machine.adopted).not.toBeNull();
    expectRuns(world);
  });
});

describe('a cancel of a load', () => {
  it('during the read leaves guest and disks unchanged', async () => {
    const world = loadable();
    world.blocks.hold('load');
    const job = world.domain.snapshots.load(LOAD);
    await reached(world, 'load', 'a');
    world.domain.jobs.apply('j', 'cancel');
    expect(await endOf(world, job)).toMatchObject({ outcome: 'cancelled' });
    expect(world.machine.adopted).toBeNull();
    expect(world.discarded).toHaveLength(1);
    expectRuns(world);
  });

  it('is refused while the disks are switched, even by a service that closes', async () => {
    const world = loadable();
    const gate = world.blocks.hold('apply');
    const job = world.domain.snapshots.load(LOAD);
    await reached(world, 'apply', 'a');
    expect(refusalOf(() => world.domain.jobs.apply('j', 'cancel'))).toMatchObject({ code: 'job_not_cancellable' });
    const closed = world.domain.close();
    gate.open();
    await closed;
    expect(await endOf(world, job)).toMatchObject({ outcome: 'completed' });
    expect(diskContents(world)).toEqual(['a', 'a']);
    expect(world.machine.isHeldFor('snapshot')).toBe(false);
  });

  it('before the guest is stopped leaves the guest running', async () => {
    const world = loadable();
    const stopped = Promise.withResolvers<void>();
    const hold = world.machine.hold.bind(world.machine);
    world.machine.hold = async (reason) => {
      await hold(reason);
      await stopped.promise;
    };
    const job = world.domain.snapshots.load(LOAD);
    await expect.poll(() => world.machine.isHeldFor('snapshot')).toBe(true);
    world.domain.jobs.apply('j', 'cancel');
    stopped.resolve();
    expect(await endOf(world, job)).toMatchObject({ outcome: 'cancelled' });
    expect(world.blocks.log).toEqual([]);
    expectRuns(world);
  });
});

describe('while a guest is replaced', () => {
  it('a stop and a cont apply to the new guest', async () => {
    const world = loadable();
    const { domain, blocks } = world;
    for (const [id, wanted] of Object.entries({ j: 'paused', k: 'running' })) {
      const gate = blocks.hold('load');
      const seen = blocks.log.length;
      const job = domain.snapshots.load({ ...LOAD, jobId: id });
      await expect.poll(() => blocks.log.length, { interval: 1 }).toBe(seen + 1);
      if (id === 'j') await domain.machine.stop();
      else await domain.machine.cont();
      gate.open();
      await endOf(world, job);
      expect(domain.machine.status().status).toBe(wanted);
    }
    expectRuns(world);
  });

  it('a new guest that had panicked is panicked again', async () => {
    const world = loadable();
    const adopt = world.machine.adopt.bind(world.machine);
    world.machine.adopt = (loaded) => {
      adopt(loaded);
      world.machine.held.add('panic');
    };
    await endOf(world, world.domain.snapshots.load(LOAD));
    expect(world.domain.machine.status().status).toBe('guest-panicked');
    expect(guestEvents(world)).toEqual(['STOP']);
  });

  it('a new guest in place of a panicked one is paused, and can run', async () => {
    const world = loadable();
    world.machine.panic();
    const adopt = world.machine.adopt.bind(world.machine);
    world.machine.adopt = (loaded) => {
      adopt(loaded);
      world.machine.held.delete('panic');
    };
    await endOf(world, world.domain.snapshots.load(LOAD));
    expect(world.domain.machine.status().status).toBe('paused');
    await world.domain.machine.cont();
    expectRuns(world);
  });
});
