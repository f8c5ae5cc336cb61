// A crash after a write. test/soak/block/crash.test.ts tests it after every write, with more cluster sizes, and uses
// QEMU's check more often.

import { describe, expect, test } from 'vitest';
import { crashStates, judgeAll, powerFailureStates, type State } from '../../helpers/qcow2/crash-states.ts';

/** Every N-th state is checked, including the last. */
const JUDGED_EVERY = 25;
/** The last states belong to the compaction. All of them are judged: two tables that share a cluster change one after the other. */
const LAST_STATES = 24;
/** QEMU checks this number of them. */
const QEMU_STATES_MAX = 4;

describe.each([12])('with %i cluster bits', (clusterBits) => {
  test('a crash between two writes leaves at most leaked clusters', async () => {
    const states = await crashStates(clusterBits);
    expect(states.length).toBeGreaterThan(100);
    expect(await judgeAll(sampleOf(states), QEMU_STATES_MAX)).toEqual([]);
  });

  test('a power failure leaves at most leaked clusters', async () => {
    const states = await powerFailureStates(clusterBits);
    expect(states.length).toBeGreaterThan(100);
    expect(await judgeAll(sampleOf(states), QEMU_STATES_MAX)).toEqual([]);
  });
});

function sampleOf(states: readonly State[]): State[] {
  return states.filter((_, index) => {
    const behind = states.length - 1 - index;
    return behind < LAST_STATES || behind % JUDGED_EVERY === 0;
  });
}
