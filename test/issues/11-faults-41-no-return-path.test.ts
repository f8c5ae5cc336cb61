/*
 * Promise 41 of the faults, without a return path: an orderly closing counted as the target's yes (item 27), and only the
 * soak test closed in the phases before the handover, where the guest has to run on. The handover itself is in
 * test/integration/faults.test.ts, all phases over every transport in test/soak/.
 */
import { test } from 'vitest';
import { closeInPhases } from '../helpers/closing-peer.ts';

test('without a return path a peer that closes or falls silent before the handover leaves the guest running here', () =>
  closeInPhases(
    [
      { how: 'FIN', phase: 'first pass' },
      { how: 'RST', phase: 'pre-switchover' },
      { how: 'FIN', phase: 'last pass' },
      { how: 'silence', phase: 'iteration' },
    ],
    'tcp',
    { hasReturnPath: false },
  ));
