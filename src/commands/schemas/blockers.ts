import { Type } from 'typebox';
import { Text } from './common.ts';

/* Reasons that forbid an outgoing migration. */

const REASON_LENGTH_MAX = 1024;

export const Blocker = Type.Object({ id: Type.String(), reason: Type.String() });
export const BlockerList = Type.Object({
  blockers: Type.Array(Blocker),
  'only-migratable': Type.Boolean({ description: 'The service was started so: none can be added.' }),
});

export const BlockerAddArguments = Type.Object(
  { reason: Type.String({ minLength: 1, maxLength: REASON_LENGTH_MAX }) },
  { additionalProperties: false },
);

export const BlockerId = Type.Object({ id: Text('Identifier of a blocker.') }, { additionalProperties: false });
