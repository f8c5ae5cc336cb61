// Error messages named the problem without the remedy, which was another flag, another port or another capability.

import { expect, test } from 'vitest';
import type { OutgoingChannel } from '../../src/engine/channels/channel.ts';
import { ReversePath } from '../../src/engine/channels/reverse-path.ts';
import { WaitPoint } from '../../src/engine/session/wait-point.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { refusalOf } from '../../src/engine/stream/target-checks.ts';

function failureAfter(...chunks: readonly Uint8Array[]): unknown {
  const monitor = new WaitPoint(() => false);
  let tell: (bytes: Uint8Array) => void = () => {};
  const onReverse = (listener: typeof tell) => {
    tell = listener;
  };
  new ReversePath({ onReverse } as unknown as OutgoingChannel, monitor, () => false);
  for (const chunk of chunks) tell(chunk);
  try {
    monitor.check();
    return null;
  } catch (error) {
    return error;
  }
}

test('a source that connects to an HTTP or TLS port reports the protocol', () => {
  const http = Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
  expect(failureAfter(http)).toMatchObject({ code: 'peer_speaks_http' });
  expect(failureAfter(Buffer.from([21, 3, 1, 0, 2, 2, 70]))).toMatchObject({ code: 'peer_speaks_tls' });
  expect(failureAfter(encodeReverse({ type: 'pong', value: 1 }))).toBeNull();
});

test('a service of another machine type suggests --machine image to a sender that is a QEMU', () => {
  const configuration = {
    machineName: 'pc',
    capabilities: [],
    uuid: null,
    targetPageBits: null,
    tail: new Uint8Array(),
  };
  const target = { form: 'devices', machineName: 'synthetic' } as never;
  expect(refusalOf(configuration, { target, capabilities: [], uuid: '' })?.message).toContain('--machine image');
});
