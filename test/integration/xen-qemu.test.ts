// Xen's and COLO's commands compared with a real QEMU 10.0 without replication: equal answers to equal commands, and
// device states that each loads from the other. All tests use one QEMU.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LoadedMachine, TransferSource } from '../../src/engine/memory/machine-state.ts';
import { decodeDeviceStream, encodeDeviceStream } from '../../src/engine/stream/device-stream.ts';
import { createImageMachine } from '../../src/machine/image/image-machine.ts';
import { imagePlan, read } from '../engine/stream/reading.ts';
import { ask, fakeApp } from '../helpers/app.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { launchQemu, type Qemu } from '../helpers/qemu/process.ts';
import { describeWithQemu } from '../helpers/qemu/qemu.ts';
import type { JsonObject, QmpCommandError } from '../helpers/qemu/qmp.ts';

/** The commands for both programs, in order. */
const QUESTIONS: readonly (readonly [command: string, given: JsonObject])[] = [
  ['query-colo-status', {}],
  ['x-colo-lost-heartbeat', {}],
  ['xen-colo-do-checkpoint', {}],
  ['query-xen-replication-status', {}],
  ['xen-set-replication', { enable: true, primary: true }],
  ['xen-set-replication', { enable: true, primary: false }],
  ['xen-set-replication', { enable: false, primary: true }],
  ['xen-set-replication', { enable: false, primary: false, failover: true }],
  ['xen-set-replication', { enable: true, primary: true, failover: false }],
  ['xen-set-replication', { enable: true }],
  ['xen-set-global-dirty-log', { enable: true }],
  ['xen-set-global-dirty-log', { enable: true }],
  ['xen-set-global-dirty-log', { enable: false }],
  ['xen-set-global-dirty-log', { enable: 1 }],
  ['xen-set-global-dirty-log', {}],
  ['announce-self', { initial: 50, max: 550, rounds: 5, step: 100 }],
  ['announce-self', { initial: -1, max: -1, rounds: -1, step: -1, interfaces: ['nowhere'], id: 'a' }],
  ['announce-self', { initial: 50, max: 550, rounds: 0, step: 100, interfaces: [], id: 'a' }],
  ['announce-self', { initial: 50, max: 550, rounds: 5 }],
  ['announce-self', { initial: 50, max: 550, rounds: 5, step: 100, interfaces: 'a' }],
  ['announce-self', { initial: 50, max: 550, rounds: 5, step: 100, round: 1 }],
  ['xen-save-devices-state', {}],
  ['xen-save-devices-state', { filename: 'no/such/folder/x' }],
  ['xen-load-devices-state', { filename: 'no/such/file' }],
  ['xen-load-devices-state', { filename: 1 }],
];

/** The settings for QEMU to load a device state: it expects no configuration section and has an address to listen on. */
const READS_DEVICES = {
  ramMebibytes: 2,
  incoming: 'tcp:127.0.0.1:0',
  extraArguments: ['-global', 'migration.send-configuration=off'],
};

type State = LoadedMachine['state'] | TransferSource['state'];

/** The names of devices with different states in two images. */
function differing(one: State, other: State): string[] {
  const [ours = [], theirs = []] = [one, other].map((state) =>
    state.form === 'image' ? [...state.image.earlySections, ...state.image.sections] : [],
  );
  expect(theirs.map(({ idstr }) => idstr)).toEqual(ours.map(({ idstr }) => idstr));
  return ours.filter(({ body }, index) => Buffer.compare(body, theirs[index]!.body) !== 0).map(({ idstr }) => idstr);
}

describeWithQemu('compared with QEMU', () => {
  let qemu: Qemu;

  beforeAll(async () => {
    qemu = await launchQemu(READS_DEVICES);
  });

  afterAll(() => qemu?.stop());

  test.each(QUESTIONS)('%s %j is answered in the same way', async (command, given) => {
    const { server } = await fakeApp({ flags: ['--paused'] });
    const { json } = await ask(server, '/qmp', { body: { execute: command, arguments: given } });
    const answer = await qemu.qmp.execute(command, given).then(
      (result) => ({ return: result }),
      (error: QmpCommandError) => ({ error: { class: error.errorClass, desc: expect.any(String) } }),
    );
    expect(json).toEqual(answer);
  });

  test('a device state of an image is loaded by QEMU, and one of QEMU by the image', async () => {
    const image = createImageMachine();
    const { loaded } = read(readStreamFixture('pc-10.0').stream, imagePlan());
    image.adopt(loaded!);
    const ours = encodeDeviceStream(image.transferSource());
    const path = join(qemu.directory, 'devices.bin');
    writeFileSync(path, ours.bytes);
    const registers = () => qemu.qmp.execute('human-monitor-command', { 'command-line': 'info registers' });
    const before = await registers();
    await qemu.qmp.execute('xen-load-devices-state', { filename: path });
    expect(await registers()).not.toBe(before);

    await qemu.qmp.execute('xen-save-devices-state', { filename: path });
    const theirs = readFileSync(path);
    const taken = decodeDeviceStream(theirs, image.transferSource());
    // Nothing but the clock has gone on; and what we make of their devices is their file, byte for byte.
    expect(differing(image.transferSource().state, taken.state)).toEqual(['mc146818rtc']);
    image.adopt(taken);
    expect(Buffer.compare(encodeDeviceStream(image.transferSource()).bytes, theirs)).toBe(0);
  });
});
