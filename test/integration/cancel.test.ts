// Cancel in every state, by two callers, and concurrently with the completion: a migration has one end, and all interfaces
// report the same end. test/soak/failures.test.ts tests every state over every transport.
// QEMU scenarios: /migration/cancel/src/after/none, /migration/cancel/src/after/setup,
// /migration/cancel/src/after/active, /migration/cancel/src/after/pre-switchover

import { expect, test } from 'vitest';
import { type CancelRaces, runRaces } from '../helpers/cancel-race.ts';
import { cancelInEachStage, cancelNothing, cancelTooLate } from '../helpers/failures/cancel.ts';

test('a cancel without a migration has no effect, and later migrations work', () => cancelNothing('unix'));

test('a cancel during connecting, the first pass, pre-switchover and the last pass succeeds, the target fails, and later migrations work', () =>
  cancelInEachStage('tcp'));

test('a cancel over tcp is refused after the target may have the guest, and does not change the end', () =>
  cancelTooLate('tcp'));

test('cancels that race with the completion of real migrations lead to exactly one end', async () => {
  const races = await runRaces(2, 60);
  expectBothEndsWon(races);
});

/** Both sides must win at least once, otherwise there was no race. */
function expectBothEndsWon({ cancelled, completed }: CancelRaces): void {
  expect(cancelled).toBeGreaterThan(0);
  expect(completed).toBeGreaterThan(0);
}
