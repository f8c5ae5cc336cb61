// Services in processes of their own that are killed: what is kept is whole, and says what happened. test/soak/migration.test.ts
// does it a hundred times.

import { test } from 'vitest';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';

test('kill -9 of a source during a migration and changes of parameters leaves no partial state', () =>
  crashOutgoing(1));

test('kill -9 of a target during a migration leaves the guest at its source', () => crashIncoming(1));
