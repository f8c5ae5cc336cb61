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

test('messages cut at every byte say the same', () => {
  const all = Buffer.concat([PONG, encodeReverse({ type: 'switchover-ack' }), SHUT_WELL]);
  for (let cut = 0; cut <= all.length; cut += 1) {
    const { reverse, waitPoint, receive } = make();
    receive(all.subarray(0, cut));
    receive(all.subarray(cut));
    expect([reverse.hasSwitchoverAck, reverse.shut]).toEqual([true, 0]);
    expect(failureOf(waitPoint)).toBeNull();
  }
});

test('what follows the last word is ignored', () => {
  const { reverse, waitPoint, receive } = make();
  receive(Buffer.concat([SHUT_WELL, Buffer.alloc(100, 0xff)]));
  receive(Buffer.alloc(100_000, 0xff));
  expect(reverse.shut).toBe(0);
  expect(failureOf(waitPoint)).toBeNull();
});

describe('a target that breaks the rules', () => {
  test('and says before the handover that it has the guest is not believed', () => {
    const { reverse, waitPoint, receive } = make(false);
    receive(SHUT_WELL);
    expect(reverse.shut).toBeNull();
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
  });

  test('and floods fails after a few messages', () => {
    const { waitPoint, receive } = make();
    for (let count = 0; count < 16; count += 1) receive(PONG);
    expect(failureOf(waitPoint)).toBeNull();
    receive(PONG);
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
  });

  test.each([
    ['an unknown type', [0, 99, 0, 0]],
    ['a length that does not fit', [0, 1, 0, 5, 0, 0, 0, 0, 0]],
    ['a request for pages, which precopy does not know', [0, 3, 0, 12]],
  ])('with %s fails', (_name, bytes) => {
    const { reverse, waitPoint, receive } = make();
    receive(Uint8Array.from(bytes));
    receive(SHUT_WELL);
    expect(failureOf(waitPoint)).toMatchObject({ code: 'return_path_broken' });
    expect(reverse.shut).toBeNull();
  });

  test('and reports an error is told as having refused, whenever that comes', () => {
    for (const isHandedOver of [false, true]) {
      const { waitPoint, receive } = make(isHandedOver);
      receive(encodeReverse({ type: 'shut', value: 5 }));
      expect(failureOf(waitPoint)).toMatchObject({ code: 'target_refused' });
    }
  });
});
