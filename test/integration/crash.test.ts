// Services in processes of their own that are killed: what is kept is whole, and says what happened. test/soak/migration.test.ts
// does it a hundred times.

import { test } from 'vitest';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';

test('kill -9 while a guest is sent away and parameters change leaves nothing half done', () => crashOutgoing(1));

test('kill -9 while a guest is received leaves it at its source', () => crashIncoming(1));
