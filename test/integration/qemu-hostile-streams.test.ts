// Hostile and broken senders to a complete service. test/soak/failures.test.ts tests each over every transport.

import {
  describeAwaitedGuest,
  describeHostileSenders,
  describeSilentSenders,
} from '../helpers/failures/hostile-senders.ts';

describeHostileSenders('tcp');
describeSilentSenders('unix');
describeAwaitedGuest('unix');
