import { describe, expect, it } from 'vitest';
import { CAPABILITIES_NOT_AVAILABLE } from '../../../src/domain/settings/declared-settings.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { refusalOf } from '../fakes/refusal.ts';

const on = (...names: string[]) => names.map((capability) => ({ capability, state: true }));

describe('settings', () => {
  it('are stored version by version and read back exactly by the next start', () => {
    const store = openMemoryStore();
    const first = fakeDomain({ store });
    first.domain.settings.setCapabilities(on('return-path'));
    first.domain.settings.setParameters({ 'max-bandwidth': 2n ** 64n - 1n, 'tls-hostname': 'a "b"' });
    const second = fakeDomain({ store });
    expect(second.domain.settings.parameters()).toMatchObject({
      'max-bandwidth': 2n ** 64n - 1n,
      'tls-hostname': 'a "b"',
      'downtime-limit': 300,
    });
    expect(second.domain.settings.capabilities()).toContainEqual({ capability: 'return-path', state: true });
    expect(store.settings.load('parameters')?.json).toContain('"max-bandwidth":18446744073709551615');
    expect(second.domain.settings.version('parameters')).toBe(1);
    expect(second.domain.settings.version('capabilities')).toBe(3);
    store.close();
  });

  it('are unchanged if any part of a change is refused', () => {
    const { domain, store } = fakeDomain();
    const before = { parameters: domain.settings.parameters(), capabilities: domain.settings.capabilities() };
    const version = domain.settings.version('capabilities');
    expect(
      refusalOf(() => domain.settings.setParameters({ 'downtime-limit': 5, 'multifd-channels': 0 })),
    ).not.toBeNull();
    expect(
      refusalOf(() => domain.settings.setCapabilities(on('return-path', 'switchover-ack', 'multifd', 'xbzrle'))),
    ).toMatchObject({ code: 'incompatible_capabilities' });
    expect({ parameters: domain.settings.parameters(), capabilities: domain.settings.capabilities() }).toEqual(before);
    expect(domain.settings.version('capabilities')).toBe(version);
    expect(store.settings.load('parameters')).toBeNull();
  });

  it('that are valid but not available are refused by name', () => {
    const { domain } = fakeDomain();
    for (const capability of CAPABILITIES_NOT_AVAILABLE) {
      const needed =
        capability === 'postcopy-preempt' ? ['postcopy-ram'] : capability === 'zero-copy-send' ? ['multifd'] : [];
      const refusal = refusalOf(() => domain.settings.setCapabilities(on(capability, ...needed)));
      expect(refusal, capability).toMatchObject({ code: 'capability_not_available', kind: 'unavailable' });
      expect(refusal?.message).toContain(`'${capability}' is not available in this version`);
    }
    expect(refusalOf(() => domain.settings.setCapabilities(on('dirty-limit')))).toMatchObject({ kind: 'invalid' });
    for (const change of [{ mode: 'cpr-reboot' }, { 'tls-creds': 'tls0' }, { 'direct-io': true }]) {
      const refusal = refusalOf(() => domain.settings.setParameters(change));
      expect(refusal).toMatchObject({ code: 'parameter_not_available', kind: 'unavailable' });
      expect(refusal?.message).toContain(Object.keys(change)[0]);
    }
    domain.settings.setParameters({ 'multifd-compression': 'zstd', 'tls-creds': null, 'tls-authz': 'x' });
  });

  it('are changed only from the version that the caller names', () => {
    const { domain } = fakeDomain();
    const seen = domain.settings.version('parameters');
    domain.settings.setParameters({ 'downtime-limit': 100 }, seen);
    const refusal = refusalOf(() => domain.settings.setParameters({ 'downtime-limit': 200 }, seen));
    expect(refusal).toMatchObject({ code: 'settings_changed', kind: 'stale' });
    expect(domain.settings.parameters()['downtime-limit']).toBe(100);
    domain.settings.setParameters({ 'downtime-limit': 200 }, seen + 1);
    expect(domain.settings.version('parameters')).toBe(seen + 2);
  });

  it('of one start override stored ones, and are not stored until they are set', () => {
    const store = openMemoryStore();
    const overrides = { parameters: { 'max-bandwidth': '1G', 'downtime-limit': '50' }, capabilities: ['return-path'] };
    const { domain } = fakeDomain({ store, overrides });
    expect(domain.settings.parameters()).toMatchObject({ 'max-bandwidth': 2 ** 30, 'downtime-limit': 50 });
    domain.settings.setParameters({ 'downtime-limit': 60, 'announce-rounds': 3 });
    expect(domain.settings.parameters()).toMatchObject({ 'max-bandwidth': 2 ** 30, 'downtime-limit': 60 });
    const next = fakeDomain({ store });
    expect(next.domain.settings.parameters()).toMatchObject({
      'max-bandwidth': 134_217_728,
      'downtime-limit': 60,
      'announce-rounds': 3,
    });
    expect(next.domain.settings.capabilities()).toContainEqual({ capability: 'return-path', state: false });
    store.close();
  });

  it('that depend on an override are stored together with it', () => {
    const store = openMemoryStore();
    const { domain } = fakeDomain({ store, overrides: { parameters: {}, capabilities: ['return-path'] } });
    domain.settings.setCapabilities(on('switchover-ack'));
    const next = fakeDomain({ store });
    expect(next.domain.settings.capabilities()).toContainEqual({ capability: 'switchover-ack', state: true });
    expect(next.domain.settings.capabilities()).toContainEqual({ capability: 'return-path', state: true });
    store.close();
  });

  it('of one start are checked as all settings', () => {
    const bad = (overrides: { parameters: Record<string, string>; capabilities: string[] }) => () =>
      fakeDomain({ overrides });
    expect(refusalOf(bad({ parameters: { 'downtime-limit': '2000001' }, capabilities: [] }))).toMatchObject({
      code: 'value_out_of_range',
    });
    expect(refusalOf(bad({ parameters: { bogus: '1' }, capabilities: [] }))).toMatchObject({ code: 'unknown_member' });
    expect(refusalOf(bad({ parameters: {}, capabilities: ['multifd'] }))).toMatchObject({
      code: 'capability_not_available',
    });
    expect(refusalOf(bad({ parameters: {}, capabilities: ['switchover-ack'] }))).toMatchObject({
      code: 'incompatible_capabilities',
    });
  });

  it('that are stored but unreadable stop the start with a clear error', () => {
    for (const json of ['[', '{"downtime-limit":-1}', '{"bogus":1}']) {
      const store = openMemoryStore();
      store.settings.save('parameters', 0, { json, changedAt: 0 });
      expect(refusalOf(() => fakeDomain({ store }))).toMatchObject({ code: 'stored_settings_unreadable' });
      store.close();
    }
  });

  it('take effect in a running migration if they are parameters, and do not if they are capabilities', async () => {
    const { domain, outgoing } = fakeDomain();
    domain.migration.start({ uri: 'tcp:h:1' });
    domain.settings.setParameters({ 'max-bandwidth': 2n ** 63n, 'downtime-limit': 1000 });
    expect(outgoing().parametersSet).toEqual([
      {
        'max-bandwidth': Number.MAX_SAFE_INTEGER,
        'avail-switchover-bandwidth': 0,
        'downtime-limit': 1000,
        'throttle-trigger-threshold': 50,
        'cpu-throttle-initial': 20,
        'cpu-throttle-increment': 10,
        'cpu-throttle-tailslow': false,
        'max-cpu-throttle': 99,
      },
    ]);
    expect(refusalOf(() => domain.settings.setCapabilities(on('return-path')))).toMatchObject({
      code: 'migration_in_progress',
      kind: 'conflict',
    });
    expect(refusalOf(() => domain.settings.setParameters({ 'downtime-limit': -1 }))).not.toBeNull();
    expect(outgoing().parametersSet).toHaveLength(1);
    outgoing().finish('failed');
    await domain.migration.ended('id-1', 1000);
  });
});
