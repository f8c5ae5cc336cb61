// A crash after every write, for clusters of every size, with QEMU's check of every state.

import { describe, expect, test } from 'vitest';
import { crashStates, judgeAll, powerFailureStates } from '../../helpers/qcow2/crash-states.ts';

/** More than the number of states. */
const QEMU_STATES_MAX = 5000;

describe.each([9, 12, 16])('with %i cluster bits', (clusterBits) => {
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
