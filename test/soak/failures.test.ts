// Every failure test over every transport at which its fault can exist. A pipe carries no answers, and neither a pipe nor an
// inherited connection is listened on.

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
  test('gives up a peer that never reads at the deadline for silence', () => outgoing.silentTarget(transport));

  test.each(['FIN', 'RST'] as const)('keeps its guest if the peer closes with %s in any phase', (how) =>
    closeInPhases(closingsWith(how), transport),
  );
});

describe.each(['tcp', 'unix', 'fd'] as const)('a handover over %s', (transport) => {
  test('without a return path is unknown or unconfirmed', () => outgoing.handoverWithoutReturnPath(transport));

  test('with a return path is what the target says', () => outgoing.handoverWithReturnPath(transport));

  test('is not begun if the return path is wrong', () => outgoing.wrongReturnPaths(transport));
});

test('a handover through a pipe is a completion that nobody confirmed', outgoing.handoverThroughPipe);

describe.each(SOCKET_TRANSPORTS)('a cancel over %s', (transport) => {
  test('of nothing changes nothing', () => cancelNothing(transport));

  test('wins in each stage before the handover', () => cancelInEachStage(transport));

  test('is refused once the target may have the guest', () => cancelTooLate(transport));

  test('or a continuation ends a pause that is longer than the deadlines', () => outgoing.longPause(transport));
});

for (const transport of SOCKET_TRANSPORTS) {
  describeHostileSenders(transport);
  describeSilentSenders(transport);
  describeAwaitedGuest(transport);
}
