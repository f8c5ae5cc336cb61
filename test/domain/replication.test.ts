import { expect, it } from 'vitest';
import { fakeDomain } from './fakes/fake-domain.ts';
import { refusalOf } from './fakes/refusal.ts';

// test/integration/xen-qemu.test.ts compares these answers with QEMU.
it('without COLO and replicated disks replication has no mode and no error, and its commands do nothing', () => {
  const { replication } = fakeDomain().domain;
  expect(replication.coloStatus()).toEqual({ mode: 'none', 'last-mode': 'none', reason: 'none' });
  expect(replication.replicationStatus()).toEqual({ error: false });
  replication.checkpoint();
  for (const enable of [true, false]) {
    replication.setDirtyLog(enable);
    for (const primary of [true, false]) replication.setReplication({ enable, primary });
  }
  replication.setReplication({ enable: false, primary: true, failover: true });
  const refused = refusalOf(() => replication.setReplication({ enable: true, primary: true, failover: false }));
  expect(refused).toMatchObject({ code: 'incompatible_parameters', violations: [{ pointer: '/failover' }] });
  expect(refusalOf(() => replication.lostHeartbeat())).toMatchObject({ code: 'not_in_colo' });
});
