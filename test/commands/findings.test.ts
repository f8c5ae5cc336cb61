import { describe, expect, it } from 'vitest';
import { execute } from '../../src/commands/execute.ts';
import { setWorkload } from '../../src/commands/machine.ts';
import { migrateSetCapabilities, migrateSetParameters } from '../../src/commands/settings.ts';
import type { Domain } from '../../src/domain/domain.ts';
import type { DomainError } from '../../src/domain/errors.ts';
import { WORKLOAD_RATE_MAX } from '../../src/machine/synthetic/guest-workload.ts';
import { parseJson } from '../../src/text/json.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';

/** The code, the message and the violations of a refused command, sorted by pointer. */
async function refusal(command: Parameters<typeof execute>[0], text: string, domain: Domain = fakeDomain().domain) {
  const error = await execute(command, { domain, arguments: parseJson(text) }).then(
    () => Promise.reject(new Error('the command was accepted')),
    (thrown: DomainError) => thrown,
  );
  const violations = error.violations.toSorted((one, other) => (one.pointer < other.pointer ? -1 : 1));
  return { code: error.code, message: error.message, violations, pointers: violations.map(({ pointer }) => pointer) };
}

describe('invalid parameters', () => {
  it('are reported together, whether the schema or the domain finds them', async () => {
    const text = '{"downtime-limit":2000001,"cpu-throttle-initial":"x"}';
    const { code, violations, message } = await refusal(migrateSetParameters, text);
    expect(code).toBe('wrong_type');
    expect(violations).toEqual([
      { pointer: '/cpu-throttle-initial', reason: 'must be an integer, not "x"' },
      { pointer: '/downtime-limit', reason: 'downtime-limit is 2000001; it may be from 0 to 2000000 ms.' },
    ]);
    expect(message).toBe('Member /cpu-throttle-initial must be an integer, not "x" (and 1 more, see errors).');
  });

  it('are reported once per member, rules included, for any number of members', async () => {
    const text =
      '{"xbzrle-cache-size":5000,"mode":"fast","multifd-channels":0,"max-cpu-throttle":null,"announce-step":0,"x":1,' +
      '"block-bitmap-mapping":[{"node-name":"a","alias":"1","bitmaps":[7]}]}';
    expect((await refusal(migrateSetParameters, text)).pointers).toEqual([
      '/announce-step',
      '/block-bitmap-mapping/0/alias',
      '/block-bitmap-mapping/0/bitmaps/0',
      '/max-cpu-throttle',
      '/mode',
      '/multifd-channels',
      '/x',
      '/xbzrle-cache-size',
    ]);
  });

  it('beyond 64 bits are reported with the bounds of the parameter', async () => {
    const { code, message } = await refusal(migrateSetParameters, '{"max-bandwidth":18446744073709551616}');
    expect(code).toBe('value_out_of_range');
    expect(message).toBe('max-bandwidth is 18446744073709551616; it may be from 0 to 18446744073709551615 bytes/s.');
  });

  it('leave the valid parameters of the same request unchanged', async () => {
    const { domain } = fakeDomain();
    const before = domain.settings.parameters();
    await refusal(migrateSetParameters, '{"downtime-limit":7,"mode":"fast"}', domain);
    expect(domain.settings.parameters()).toEqual(before);
  });
});

describe('invalid capabilities', () => {
  it('are reported together with rules that other entries break', async () => {
    const text =
      '{"capabilities":[{"capability":"switchover-ack","state":true},{"capability":"xyz","state":true},' +
      '{"capability":"events"},5]}';
    const { code, pointers } = await refusal(migrateSetCapabilities, text);
    expect(code).toBe('unknown_capability');
    expect(pointers).toEqual([
      '/capabilities/0/capability',
      '/capabilities/1/capability',
      '/capabilities/2/state',
      '/capabilities/3',
    ]);
  });

  it('are reported with the pointer of the unavailable entry', async () => {
    const text = '{"capabilities":[{"capability":"events","state":true},{"capability":"xbzrle","state":true}]}';
    const { code, pointers } = await refusal(migrateSetCapabilities, text);
    expect([code, pointers]).toEqual(['capability_not_available', ['/capabilities/1/capability']]);
  });

  it('are reported with the pointer of the entry that contradicts present capabilities', async () => {
    const { domain } = fakeDomain({ capabilities: ['return-path', 'switchover-ack'] });
    const text = '{"capabilities":[{"capability":"return-path","state":false}]}';
    const { code, pointers } = await refusal(migrateSetCapabilities, text, domain);
    expect([code, pointers]).toEqual(['incompatible_capabilities', ['/capabilities/0/capability']]);
  });
});

describe('an invalid workload', () => {
  it('is reported member by member', async () => {
    const { code, pointers } = await refusal(setWorkload, '{"rate":-1,"span":-1,"pattern":"x"}');
    expect([code, pointers]).toEqual(['value_out_of_range', ['/pattern', '/rate', '/span']]);
  });

  it('is reported by name even if the pattern is valid', async () => {
    const { violations } = await refusal(setWorkload, `{"rate":${WORKLOAD_RATE_MAX + 1},"pattern":"seq"}`);
    expect(violations).toEqual([
      {
        pointer: '/rate',
        reason: `rate is ${WORKLOAD_RATE_MAX + 1}; it may be from 0 to ${WORKLOAD_RATE_MAX} bytes/s.`,
      },
    ]);
  });
});
