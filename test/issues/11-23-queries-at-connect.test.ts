// Clients for QEMU query the accelerator, the architecture, the vCPUs and the disks as soon as they are connected.
// These commands did not exist, so such a client got CommandNotFound at its first query. The answers below have the
// members that QEMU 10.0.2 returned for a machine with `-blockdev` nodes and two vCPUs. test/commands/qapi.test.ts
// compares their types.

import { expect, it } from 'vitest';
import { blockDeviceView } from '../../src/commands/views/machine.ts';
import { type Answer, askQmp, sameApp, socketOf } from '../helpers/doors/doors.ts';
import { describeWithQemu, SMALL_GUEST, startQemu } from '../helpers/qemu/qemu.ts';
import { QmpCommandError } from '../helpers/qemu/qmp.ts';

function resultOf(answer: Answer): unknown {
  expect(answer).toMatchObject({ kind: 'done' });
  return (answer as { readonly result: unknown }).result;
}

async function connected() {
  const app = await sameApp();
  const socket = await socketOf(app);
  await askQmp(socket, 'qmp_capabilities', {});
  const query = async (name: string, given = {}) => resultOf(await askQmp(socket, name, given));
  return { app, query };
}

const IMAGE = {
  format: 'qcow2',
  'dirty-flag': false,
  'virtual-size': expect.any(Number),
  filename: expect.any(String),
};
const INSERTED = {
  ...{ file: expect.any(String), ro: false, drv: 'qcow2', backing_file_depth: 0, active: true, encrypted: false },
  ...{ detect_zeroes: 'off', bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0, write_threshold: 0 },
  ...{ cache: { writeback: true, direct: false, 'no-flush': false }, image: IMAGE },
};
const inserted = (name: string) => ({ ...INSERTED, 'node-name': name });
const NAMES = ['disk0', 'disk1'];

it('query-block and query-named-block-nodes describe every node as QEMU does', async () => {
  const { query } = await connected();

  expect(await query('query-named-block-nodes')).toEqual(NAMES.map(inserted));
  expect(await query('query-named-block-nodes', { flat: true })).toEqual(NAMES.map(inserted));
  expect(await query('query-block')).toEqual(
    NAMES.map((name) => ({
      ...{ device: '', qdev: name, type: 'unknown', removable: false, locked: false, 'io-status': 'ok' },
      inserted: inserted(name),
    })),
  );
});

it('query-block lists the snapshots of an image with the times in seconds and nanoseconds', async () => {
  const { app, query } = await connected();
  app.blocks.put('disk1', { tag: 'a', vmStateBytes: 4096, dateMs: 1_700_000_000_123, clockNs: 5_000_000_007n });

  const [first, second] = (await query('query-block')) as { readonly inserted: { readonly image: object } }[];
  expect(first?.inserted.image).toEqual(IMAGE);
  expect(second?.inserted.image).toMatchObject({
    snapshots: [
      {
        ...{ name: 'a', 'vm-state-size': 4096, 'date-sec': 1_700_000_000, 'date-nsec': 123_000_000 },
        ...{ 'vm-clock-sec': 5, 'vm-clock-nsec': 7 },
      },
    ],
  });
});

it('a node that another side uses is inactive, and a node without write permission is read-only', async () => {
  const { app } = await connected();
  const [node] = app.domain.snapshots.nodes();

  const view = blockDeviceView({ ...node!, isActive: false, isReadOnly: true });
  expect(view).toMatchObject({ active: false, ro: true });
});

it('the accelerator, the architecture, the vCPUs and the RAM are reported', async () => {
  const { app, query } = await connected();
  const { vcpus, ramBlocks } = app.domain.machine.info();

  expect(await query('query-kvm')).toEqual({ enabled: false, present: false });
  expect(await query('query-target')).toEqual({ arch: 'x86_64' });
  expect(await query('query-cpus-fast')).toEqual(
    Array.from({ length: vcpus }, (_, index) => ({
      ...{ 'cpu-index': index, 'qom-path': `/machine/unattached/device[${index}]`, target: 'x86_64' },
      ...{ 'thread-id': process.pid, props: { 'socket-id': 0, 'core-id': index, 'thread-id': 0 } },
    })),
  );
  const bytes = ramBlocks.reduce((sum, block) => sum + block.bytes, 0);
  expect(await query('query-memory-size-summary')).toEqual({ 'base-memory': bytes, 'plugged-memory': 0 });
});

it.each(['query-block-jobs', 'query-iothreads', 'query-chardev'])('%s returns an empty list', async (name) => {
  const { query } = await connected();
  expect(await query(name)).toEqual([]);
});

it.each([
  'query-cpu-definitions',
  'query-memory-devices',
  'query-pr-managers',
  'query-tpm-models',
  'query-tpm-types',
  'query-command-line-options',
])('%s returns an empty list, since there is no choice', async (name) => {
  const { query } = await connected();
  expect(await query(name)).toEqual([]);
});

it('the machine is the only one of its type, and missing devices are reported with the error class of QEMU', async () => {
  const { app, query } = await connected();
  const { machineName, vcpus } = app.domain.machine.info();
  const machine = {
    ...{ name: machineName, 'is-default': true, 'cpu-max': vcpus, deprecated: false },
    ...{ 'hotpluggable-cpus': false, 'numa-mem-supported': false, acpi: false },
  };

  expect(await query('query-machines')).toEqual([machine]);
  expect(await query('query-machines', { 'compat-props': true })).toEqual([{ ...machine, 'compat-props': [] }]);
  expect(await query('query-current-machine')).toEqual({ 'wakeup-suspend-support': false });
});

describeWithQemu('a missing device', () => {
  it('is answered with the error classes of a QEMU without it', async () => {
    const { qmp } = await startQemu({ ...SMALL_GUEST, machine: 'isapc', paused: true });
    const app = await sameApp();
    const socket = await socketOf(app);
    await askQmp(socket, 'qmp_capabilities', {});
    const given = { option: 'no-such-option' };

    for (const [name, arguments_] of [['query-balloon'], ['query-command-line-options', given]] as const) {
      const ours = await askQmp(socket, name, { ...arguments_ });
      const theirs = await qmp.execute(name, { ...arguments_ }).catch((error: unknown) => error);
      expect(theirs, name).toBeInstanceOf(QmpCommandError);
      expect(ours, name).toMatchObject({ kind: 'refused', errorClass: (theirs as QmpCommandError).errorClass });
    }
  });
});
