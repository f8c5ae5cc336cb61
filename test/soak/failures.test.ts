// Every failure test over every transport with the fault. A pipe carries no answers, and nothing listens on a pipe or
// an inherited connection.

import { describe, test } from 'vitest';
import { closeInPhases, closingsWith } from '../helpers/closing-peer.ts';
import { cancelInEachStage, cancelNothing, cancelTooLate } from '../helpers/failures/cancel.ts';
import {
  describeAwaitedGuest,
  describeHostileSenders,
  describeSilentSenders,
} from '../helpers/failures/hostile-senders.ts';
import * as outgoing from '../helpers/failures/outgoing.ts';
import { OUTGOING_TRANSPORTS } from '../helpers/outgoing-peers.ts';
import { SOCKET_TRANSPORTS } from '../helpers/transports.ts';

describe.each(OUTGOING_TRANSPORTS)('a source over %s', (transport) => {
  test('aborts the migration to a peer that never reads at the deadline for silence', () =>
    outgoing.silentTarget(transport));

  test.each(['FIN', 'RST'] as const)('keeps its guest if the peer closes with %s in any phase', (how) =>
    closeInPhases(closingsWith(how), transport),
  );
});

describe.each(['tcp', 'unix', 'fd'] as const)('a handover over %s', (transport) => {
  test('without a return path is unknown or unconfirmed', () => outgoing.handoverWithoutReturnPath(transport));

  test('with a return path ends as the target reports', () => outgoing.handoverWithReturnPath(transport));

  test('is not started if the return path is invalid', () => outgoing.wrongReturnPaths(transport));
});

test('a handover through a pipe is an unconfirmed completion', outgoing.handoverThroughPipe);

describe.each(SOCKET_TRANSPORTS)('a cancel over %s', (transport) => {
  test('without a migration has no effect', () => cancelNothing(transport));

  test('succeeds in each stage before the handover', () => cancelInEachStage(transport));

  test('is refused after the target may have the guest', () => cancelTooLate(transport));

  test('or a continue ends a pause that is longer than the deadlines', () => outgoing.longPause(transport));
});

for (const transport of SOCKET_TRANSPORTS) {
  describeHostileSenders(transport);
  describeSilentSenders(transport);
  describeAwaitedGuest(transport);
}
