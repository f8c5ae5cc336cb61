import { describe, expect, test } from 'vitest';
import { ReversePath } from '../../../src/engine/channels/reverse-path.ts';
import { WaitPoint } from '../../../src/engine/session/wait-point.ts';
import { encodeReverse } from '../../../src/engine/stream/return-path.ts';

const SHUT_WELL = encodeReverse({ type: 'shut', value: 0 });
const PONG = encodeReverse({ type: 'pong', value: 7 });

function make(isHandedOver = true) {
  let tell: (bytes: Uint8Array) => void = () => {};
  const waitPoint = new WaitPoint(() => false);
  const channel = {
    hasReverse: true,
    write: () => {},
    onReverse: (listener: typeof tell) => {
      tell = listener;
    },
    onFailure: () => {},
    finish: () => Promise.resolve(),
    destroy: () => {},
  };
  const reverse = new ReversePath(channel, waitPoint, () => isHandedOver);
  return { reverse, waitPoint, receive: (bytes: Uint8Array) => tell(bytes) };
}

function failureOf(waitPoint: WaitPoint): unknown {
  try {
    waitPoint.check();
    return null;
  } catch (error) {
    return error;
  }
}

test('messages that are split at any byte are decoded equally', () => {
  const all = Buffer.concat([PONG, encodeReverse({ type: 'switchover-ack' }), SHUT_WELL]);
  for (let cut = 0; cut <= all.length; cut += 1) {
    const { reverse, waitPoint, receive } = make();
    receive(all.subarray(0, cut));
    receive(all.subarray(cut));
    expect([reverse.hasSwitchoverAck, reverse.shut]).toEqual([true, 0]);
    expect(failureOf(waitPoint)).toBeNull();
  }
});

test('data after the final message is ignored', () => {
  const { reverse, waitPoint, receive } = make();
  receive(Buffer.concat([SHUT_WELL, Buffer.alloc(100, 0xff)]));
  receive(Buffer.alloc(100_000, 0xff));
  expect(reverse.shut).toBe(0);
  expect(failureOf(waitPoint)).toBeNull();
});

describe('a target that violates the protocol', () => {
  test('fails if it confirms the guest before the handover', () => {
    const { reverse, waitPoint, receive } = make(false);
    receive(SHUT_WELL);
    expect(reverse.shut).toBeNull();
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
  });

  test('fails after a few unexpected messages', () => {
    const { waitPoint, receive } = make();
    for (let count = 0; count < 16; count += 1) receive(PONG);
    expect(failureOf(waitPoint)).toBeNull();
    receive(PONG);
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
  });

  test.each([
    ['an unknown type', [0, 99, 0, 0]],
    ['an invalid length', [0, 1, 0, 5, 0, 0, 0, 0, 0]],
    ['a request for pages, which precopy does not have', [0, 3, 0, 12]],
  ])('fails with %s', (_name, bytes) => {
    const { reverse, waitPoint, receive } = make();
    receive(Uint8Array.from(bytes));
    receive(SHUT_WELL);
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
    expect(reverse.shut).toBeNull();
  });

  test('has refused if it reports an error, before and after the handover', () => {
    for (const isHandedOver of [false, true]) {
      const { waitPoint, receive } = make(isHandedOver);
      receive(encodeReverse({ type: 'shut', value: 5 }));
      expect(failureOf(waitPoint)).toMatchObject({ code: 'target_refused' });
    }
  });
});
