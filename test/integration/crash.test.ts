// Services in separate processes that are killed: the stored data is complete, and reports the interruption.
// test/soak/migration.test.ts repeats this a hundred times.

import { test } from 'vitest';
import { testInSoak } from '../helpers/combinations.ts';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';

test('kill -9 of a source during a migration and changes of parameters leaves no partial state', () =>
  crashOutgoing(1));

testInSoak('kill -9 of a target during a migration leaves the guest at its source', () => crashIncoming(1));
