import { describe, expect, it } from 'vitest';
import { FakeDeviceFiles } from '../fakes/fake-device-files.ts';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { rejectionOf } from '../fakes/refusal.ts';

const FILE = 'devices.bin';

function world(change: Parameters<typeof fakeDomain>[0] = {}): FakeWorld & { readonly files: FakeDeviceFiles } {
  const files = new FakeDeviceFiles();
  return { ...fakeDomain({ ...change, deviceFiles: files }), files };
}

const save = ({ domain }: FakeWorld, name = FILE) => domain.devices.save(name);
const load = ({ domain }: FakeWorld, name = FILE) => domain.devices.load(name);

describe('saving the devices', () => {
  it('stops a running guest, and resumes it before the file is written', async () => {
    const own = world();
    const written = Promise.withResolvers<void>();
    own.files.delay = written.promise;
    const saved = save(own, '/data/files/sub/devices.bin');
    await expect.poll(() => own.events()).toEqual(['STOP', 'RESUME']);
    expect(own.machine.runs).toBe(true);
    written.resolve();
    expect(await saved).toEqual({ filename: 'sub/devices.bin', bytes: 4, sections: 1 });
    expect([...own.files.files.keys()]).toEqual(['sub/devices.bin']);
    expect(own.domain.machine.status().status).toBe('running');
  });

  it.each([
    ['paused', {}],
    ['prelaunch', { startPaused: true }],
    ['inmigrate', { incoming: true }],
  ])('leaves a guest that is %s in this state, without an event', async (state, change) => {
    const own = world(change);
    await own.domain.machine.stop();
    const before = own.events();
    await save(own);
    expect(own.domain.machine.status().status).toBe(state);
    expect(own.machine.isHeldFor('snapshot')).toBe(false);
    expect(own.machine.runs).toBe(false);
    expect(own.events()).toEqual(before);
  });

  it('is refused with the code of the file error if the file cannot be written, and the guest continues', async () => {
    const own = world();
    own.files.fault = { code: 'no_space', message: 'file:devices.bin: no space is left' };
    expect(await rejectionOf(save(own))).toMatchObject({ code: 'no_space' });
    own.files.fault = { code: 'channel_failed', message: 'file:devices.bin: EIO' };
    expect(await rejectionOf(save(own))).toMatchObject({ code: 'engine_failed' });
    expect(own.machine.runs).toBe(true);
  });

  it.each([
    ['outside the root', '/etc/passwd', 'file_outside_root'],
    ['above it', '../x', 'file_outside_root'],
    ['that is a folder', 'x/', 'invalid_address'],
    ['without a name', '', 'invalid_address'],
  ])('into a file %s is refused before the guest is stopped', async (_, name, code) => {
    const own = world();
    for (const work of [save, load]) {
      if (work === load) await own.domain.machine.stop();
      const refused = await rejectionOf(work(own, name));
      expect(refused).toMatchObject({ code, violations: [{ pointer: '/filename' }] });
    }
    expect(own.events()).toEqual(['STOP']);
  });
});

describe('loading the devices', () => {
  it('replaces the state of the machine by that of the file, and the guest stays stopped', async () => {
    const own = world();
    await save(own);
    await own.domain.machine.stop();
    await load(own);
    expect(own.machine.adopted).toMatchObject({ state: { form: 'devices' } });
    expect(own.domain.machine.status().status).toBe('paused');
    await own.domain.machine.cont();
    expect(own.machine.runs).toBe(true);
  });

  it('is refused while the guest runs, even if it was resumed while the file was read', async () => {
    const own = world();
    await save(own);
    expect(await rejectionOf(load(own))).toMatchObject({ code: 'machine_running' });
    await own.domain.machine.stop();
    const read = Promise.withResolvers<void>();
    own.files.delay = read.promise;
    const loading = rejectionOf(load(own));
    await own.domain.machine.cont();
    read.resolve();
    expect(await loading).toMatchObject({ code: 'machine_running' });
    expect(own.machine.adopted).toBeNull();
    expect(own.machine.runs).toBe(true);
  });

  it.each([
    ['that does not exist', null, 'no_such_file'],
    ['that is invalid', { code: 'stream_truncated', message: 'it ends too early' }, 'device_state_refused'],
    ['that is a link', { code: 'not_a_plain_file', message: 'a link leads elsewhere' }, 'not_a_plain_file'],
  ])('from a file %s is refused and changes nothing', async (_, fault, code) => {
    const own = world({ startPaused: true });
    own.files.fault = fault;
    expect(await rejectionOf(load(own))).toMatchObject({ code });
    expect(own.machine.adopted).toBeNull();
    expect(own.domain.machine.status().status).toBe('prelaunch');
  });

  it('that the machine refuses fails with the reason', async () => {
    const own = world({ startPaused: true });
    await save(own);
    own.machine.refusal = new RangeError('cursor is 9');
    expect(await rejectionOf(load(own))).toMatchObject({ code: 'device_state_refused', message: /cursor is 9/ });
    expect(own.machine.isHeldFor('snapshot')).toBe(false);
  });

  it('also loads the panic of the guest, and ends a panic if the loaded guest has none', async () => {
    const own = world({ startPaused: true });
    await save(own);
    const { machine, domain } = own;
    const adopt = machine.adopt.bind(machine);
    machine.adopt = (loaded) => {
      adopt(loaded);
      machine.held.add('panic');
    };
    await load(own);
    expect(domain.machine.status().status).toBe('guest-panicked');
    machine.adopt = (loaded) => {
      adopt(loaded);
      machine.held.delete('panic');
    };
    await load(own);
    expect(domain.machine.status().status).toBe('paused');
    await domain.machine.cont();
    expect(machine.runs).toBe(true);
  });
});

describe('the state of the devices', () => {
  it('is neither saved nor loaded while a migration or a job has the machine, and not saved from an empty image', async () => {
    const migrating = world();
    migrating.domain.migration.start({ uri: 'tcp:127.0.0.1:1' });
    const listening = world({ incoming: true });
    const begun = listening.domain.migration.incoming({ uri: 'tcp::0' });
    const empty = world({ machine: new FakeMachine('image') });
    for (const work of [save, load]) {
      expect(await rejectionOf(work(migrating))).toMatchObject({ code: 'migration_in_progress' });
      expect(await rejectionOf(work(listening))).toMatchObject({ code: 'migration_in_progress' });
      expect(await rejectionOf(work(empty))).toMatchObject({ code: 'machine_not_loaded' });
    }
    listening.incoming().listen();
    await begun;
    const saving = world();
    saving.domain.snapshots.save({ jobId: 'one', tag: 'a', vmState: 'disk0', devices: ['disk0'] });
    expect(await rejectionOf(save(saving))).toMatchObject({ code: 'job_in_progress' });
  });

  it('prevents other work on the machine until its save or load has ended', async () => {
    const own = world();
    const written = Promise.withResolvers<void>();
    own.files.delay = written.promise;
    const saved = save(own);
    const request = { tag: 'a', vmState: 'disk0', devices: ['disk0'] };
    for (const begin of [
      () => own.domain.migration.start({ uri: 'tcp:127.0.0.1:1' }),
      () => own.domain.snapshots.checkSave(request),
      () => save(own),
    ]) {
      expect(await rejectionOf((async () => begin())())).toMatchObject({ code: 'job_in_progress' });
    }
    written.resolve();
    await saved;
    own.domain.migration.start({ uri: 'tcp:127.0.0.1:1' });
  });
});
