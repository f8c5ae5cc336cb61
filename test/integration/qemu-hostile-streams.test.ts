// Hostile and broken senders of a whole service; test/soak/failures.test.ts has each over every transport.

import {
  describeAwaitedGuest,
  describeHostileSenders,
  describeSilentSenders,
} from '../helpers/failures/hostile-senders.ts';

describeHostileSenders('tcp');
describeSilentSenders('unix');
describeAwaitedGuest('unix');
