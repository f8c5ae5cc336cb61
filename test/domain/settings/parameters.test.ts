import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readExactJson } from '../../../src/domain/exact-json.ts';
import type { ParameterDeclaration, ParameterSet } from '../../../src/domain/settings/declaration.ts';
import { defaultParameters, PARAMETERS } from '../../../src/domain/settings/declared-settings.ts';
import { parseParameterText } from '../../../src/domain/settings/parameter-value.ts';
import { PARAMETER_NAMES } from '../../../src/domain/settings/schema-order.ts';
import { changeParameters } from '../../../src/domain/settings/settings-checks.ts';
import qemu from '../../fixtures/qemu/parameter-bounds.json' with { type: 'json' };
import { refusalOf } from '../fakes/refusal.ts';

function change(members: Record<string, unknown>, parameters: ParameterSet = defaultParameters()): ParameterSet {
  return changeParameters(
    { capabilities: new Set(), parameters, incomingStarted: false, hasDirtyRing: false },
    members,
  );
}

/**
 * Where vmferry differs from QEMU 10.0 on purpose: QEMU reads a negative number as the 64-bit pattern of a positive
 * one; contract: negative numbers are refused. And once JSON is read, 1.0 and 1e2 are the integers 1 and 100.
 */
function isMeant({ sent, accepted }: { sent: string; accepted: boolean }): boolean {
  if (accepted) return sent.startsWith('-') && sent !== '-0';
  return sent === '1.0' || sent === '1e2';
}

describe('parameters', () => {
  it('are those of QEMU 10.0 with its defaults', () => {
    expect(Object.fromEntries(defaultParameters())).toEqual(qemu.defaults);
  });

  it('are accepted, refused and stored at and around their bounds as in QEMU 10.0', () => {
    expect(qemu.values.length).toBeGreaterThan(800);
    const differing = qemu.values.filter((entry) => {
      const given = readExactJson(entry.sent);
      const refusal = refusalOf(() => change({ [entry.parameter]: given }));
      if ((refusal === null) !== entry.accepted) return !isMeant(entry);
      if (refusal !== null) return false;
      const kept = change({ [entry.parameter]: given }).get(entry.parameter as keyof typeof PARAMETERS);
      return !isSame(kept, entry.readBack);
    });
    expect(differing).toEqual([]);
  });

  it('are refused if negative, even where QEMU converts the bit pattern', () => {
    for (const [name, definition] of Object.entries(PARAMETERS) as [string, ParameterDeclaration][]) {
      if (!('min' in definition)) continue;
      expect(
        refusalOf(() => change({ [name]: -1 })),
        name,
      ).toMatchObject({ code: 'value_out_of_range', kind: 'invalid' });
      expect(
        refusalOf(() => change({ [name]: -(2n ** 63n) })),
        name,
      ).toMatchObject({ code: 'value_out_of_range' });
    }
  });

  it('have the results of QEMU 10.0 after sequences of changes', () => {
    for (const { sequence, answers, changed } of qemu.sequences) {
      // A member that occurs twice is seen by the reader of JSON text, before it comes here.
      if (sequence.some((text) => text.split('"downtime-limit"').length > 2)) continue;
      let values: ParameterSet = defaultParameters();
      sequence.forEach((text, index) => {
        const members = readExactJson(text) as Record<string, unknown>;
        const refusal = refusalOf(() => {
          values = change(members, values);
        });
        expect(refusal === null, text).toBe(answers[index]!.accepted);
      });
      expect(Object.fromEntries(values)).toEqual({ ...qemu.defaults, ...changed });
    }
  });

  it('hold every 64-bit value exactly', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
        const given = readExactJson(value.toString());
        const kept = change({ 'max-bandwidth': given }).get('max-bandwidth') as number | bigint;
        expect(BigInt(kept)).toBe(value);
        expect(typeof kept).toBe(value <= 2n ** 53n - 1n ? 'number' : 'bigint');
      }),
    );
  });

  it('are refused above 2^64 - 1, and if a number has lost its exact value', () => {
    for (const value of [2n ** 64n, 2n ** 80n, 2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY]) {
      expect(refusalOf(() => change({ 'max-bandwidth': value }))).toMatchObject({ code: 'value_out_of_range' });
    }
    expect(refusalOf(() => change({ 'max-bandwidth': Number.NaN }))).toMatchObject({ code: 'wrong_type' });
  });

  it('are refused with all violations at once, with the code of the most severe one', () => {
    const refusal = refusalOf(() =>
      change({ 'downtime-limit': 2_000_001, 'multifd-channels': 0, direct: true, 'tls-creds': 1, 'a/b~c': 1 }),
    );
    expect(refusal).toMatchObject({ code: 'unknown_member', kind: 'malformed' });
    expect(refusal?.violations.map(({ pointer }) => pointer)).toEqual([
      '/downtime-limit',
      '/multifd-channels',
      '/direct',
      '/tls-creds',
      '/a~1b~0c',
    ]);
    expect(refusal?.message).toContain('2000001');
    expect(refusal?.message).toContain('0 to 2000000');
  });

  it('with names of members of every object are unknown', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
      expect(refusalOf(() => change({ [name]: 1 }))).toMatchObject({ code: 'unknown_member' });
    }
    const polluting = JSON.parse('{"__proto__": {"polluted": true}}') as Record<string, unknown>;
    expect(refusalOf(() => change(polluting))).toMatchObject({ code: 'unknown_member' });
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('are parsed from text with suffixes for sizes only', () => {
    expect(parseParameterText('max-bandwidth', '1G')).toBe(2 ** 30);
    expect(parseParameterText('max-bandwidth', '0x10')).toBe(16);
    expect(parseParameterText('max-bandwidth', '18446744073709551615')).toBe(2n ** 64n - 1n);
    expect(parseParameterText('downtime-limit', '300')).toBe(300);
    expect(parseParameterText('downtime-limit', '1k')).toBe('1k');
    expect(parseParameterText('direct-io', 'off')).toBe(false);
    expect(parseParameterText('mode', 'normal')).toBe('normal');
    expect(parseParameterText('max-bandwidth', '-5')).toBe(-5);
    expect(PARAMETER_NAMES).toHaveLength(29);
  });
});

/** `readBack` is JSON text; block-bitmap-mapping comes back with its members in another order. */
function isSame(kept: unknown, readBack: string | null): boolean {
  if (readBack === null) return false;
  const expected = readExactJson(readBack);
  try {
    expect(kept).toEqual(expected);
    return true;
  } catch {
    return false;
  }
}
