// A QEMU with multifd opens additional channels, which begin with their own magic and carry most of RAM. The main
// stream of a QEMU before 8.1 does not contain this information: a small machine of such a sender was accepted as
// `completed` without the pages of the unread channels. With later versions the error named only a record.

import net from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { localService } from '../../helpers/guest-service.ts';
import { startImage } from '../../helpers/qemu/journey.ts';
import {
  describeWithQemu,
  describeWithQemu72,
  type QemuOptions,
  SMALL_GUEST,
  startQemu,
} from '../../helpers/qemu/qemu.ts';
import { socketPath } from '../../helpers/transports.ts';

const MESSAGE = /multifd on.*switch it off/;
const HEADER = Buffer.from('5145564d00000003', 'hex');
const FURTHER = Buffer.from('1122334400000001', 'hex');

async function refusesMultifd(transport: 'tcp' | 'unix', options: QemuOptions): Promise<void> {
  const source = await startQemu({ ...SMALL_GUEST, ...options });
  const image = await startImage({ transport });
  await source.setCapabilities(['multifd']);
  await source.qmp.execute('migrate', { uri: image.uri });
  expect(await image.service.waitForEnd()).toMatchObject({
    status: 'failed',
    'error-desc': expect.stringMatching(MESSAGE),
  });
  expect(await image.service.lastErrorCode()).toBe('capability_differs');
}

describeWithQemu('a QEMU 10.0 with multifd on', () => {
  test.each(['tcp', 'unix'] as const)(
    'over %s is refused with a message that names multifd and the remedy',
    (transport) => refusesMultifd(transport, {}),
  );
});

describeWithQemu72('a QEMU 7.2 with multifd on', (binary) => {
  test('is refused with a message that names multifd and the remedy', () => refusesMultifd('tcp', { binary }));
});

describe.each(['tcp', 'unix'] as const)('over %s an additional channel of multifd', (transport) => {
  const listening = async (flags: readonly string[] = []) => {
    const incoming = transport === 'tcp' ? 'tcp:127.0.0.1:0' : `unix:${socketPath()}`;
    const target = await localService(['--incoming', incoming, ...flags]);
    const uri = await target.incomingUri();
    const connect = (bytes: Buffer): net.Socket => {
      const [, host = '', port] = uri.split(':');
      const socket = net.connect(transport === 'unix' ? { path: host } : { host, port: Number(port) });
      socket.on('error', () => {});
      onTestFinished(() => void socket.destroy());
      socket.write(bytes);
      return socket;
    };
    return { target, connect };
  };

  test.each([
    ['before the header of the main channel', [], ['main', 'further']],
    ['behind it', [], ['header', 'further']],
    ['after it, at a listener that stays open', ['--keep-listening'], ['header', 'further']],
  ] as const)('that arrives %s fails the migration and closes the main channel', async (_, flags, order) => {
    const { target, connect } = await listening(flags);
    const main = connect(order[0] === 'header' ? HEADER : HEADER.subarray(0, 4));
    const further = connect(FURTHER);
    const row = await target.ended();
    expect(row).toMatchObject({ status: 'failed', error: { code: 'capability_differs' } });
    expect(row.error?.desc).toMatch(MESSAGE);
    for (const socket of [main, further])
      if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  });
});
