import { expect, test } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';

test('an outgoing migration has a thread while it is in progress', async () => {
  const { domain, outgoing } = fakeDomain();
  expect(domain.migration.threads()).toEqual([]);
  const { id } = domain.migration.start({ uri: 'tcp:127.0.0.1:1' });
  expect(domain.migration.threads()).toEqual([{ name: 'mig/src/main', 'thread-id': 4711 }]);
  outgoing().finish('failed', { code: 'channel_failed', message: 'no one is there' });
  await domain.migration.ended(id, 1000);
  expect(domain.migration.threads()).toEqual([]);
});

test('an incoming migration has a thread while it is in progress', async () => {
  const { domain, incoming } = fakeDomain({ incoming: true });
  const started = domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' });
  await expect.poll(() => incoming()).toBeDefined();
  incoming().listen();
  await started;
  expect(domain.migration.threads()).toEqual([{ name: 'mig/dst/main', 'thread-id': 4712 }]);
});
