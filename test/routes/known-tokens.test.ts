import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { KnownTokens } from '../../src/routes/plugins/auth.ts';

test('a token is invalid from its expiry on', () => {
  let now = 999;
  const digest = createHash('sha256').update('secret').digest('hex');
  const tokens = new KnownTokens([{ digest, role: 'viewer', expiresMs: 1000 }], () => now);
  expect(tokens.find('secret')?.hasExpired).toBe(false);
  now = 1000;
  expect(tokens.find('secret')?.hasExpired).toBe(true);
  expect(tokens.find('other')).toBeUndefined();
});
