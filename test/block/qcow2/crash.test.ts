// A crash after every write; test/soak/block/crash.test.ts does it with more sizes of clusters, and asks QEMU more often.

import { describe, expect, test } from 'vitest';
import { crashStates, judgeAll, powerFailureStates } from '../../helpers/qcow2/crash-states.ts';

/** QEMU judges so many of the states. */
const QEMU_STATES_MAX = 12;

describe.each([12])('with %i cluster bits', (clusterBits) => {
  test('a crash between two writes leaves leaks at most', async () => {
    const states = await crashStates(clusterBits);
    expect(states.length).toBeGreaterThan(100);
    expect(await judgeAll(states, QEMU_STATES_MAX)).toEqual([]);
  });

  test('a power failure leaves leaks at most', async () => {
    const states = await powerFailureStates(clusterBits);
    expect(states.length).toBeGreaterThan(100);
    expect(await judgeAll(states, QEMU_STATES_MAX)).toEqual([]);
  });
});
