// Without a return path an orderly close counted as the confirmation of the target. Only the soak test closed the
// connection in the phases before the handover, where the guest has to keep running. The handover itself is in
// test/integration/faults.test.ts, all phases over every transport are in test/soak/.

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
