import { describe, expect, it } from 'vitest';
import type { ParameterValue, RuleSubject } from '../../../src/domain/settings/declaration.ts';
import { defaultParameters } from '../../../src/domain/settings/declared-settings.ts';
import { CAPABILITIES, type Capability, type ParameterName } from '../../../src/domain/settings/schema-order.ts';
import { changeCapabilities, changeParameters } from '../../../src/domain/settings/settings-checks.ts';
import qemu from '../../fixtures/qemu/capability-pairs.json' with { type: 'json' };
import { refusalOf } from '../fakes/refusal.ts';

function subject(on: readonly string[] = [], change: Partial<RuleSubject> = {}): RuleSubject {
  return {
    capabilities: new Set(on as Capability[]),
    parameters: defaultParameters(),
    incomingStarted: false,
    hasDirtyRing: false,
    ...change,
  };
}

function isAccepted(given: RuleSubject, on: readonly string[], state = true): boolean {
  const list = on.map((capability) => ({ capability, state }));
  return refusalOf(() => changeCapabilities(given, list)) === null;
}

describe('capabilities', () => {
  it('are those of QEMU 10.0, in its order', () => {
    expect(CAPABILITIES).toEqual(qemu.capabilities);
  });

  it('are accepted and refused alone, in every pair, and in the recorded triples as by QEMU 10.0', () => {
    const recorded = [qemu.source, qemu.target].flatMap((side) => [...side.singles, ...side.pairs, ...side.triples]);
    expect(recorded.length).toBeGreaterThan(600);
    const differing = recorded.filter(({ on, accepted }) => isAccepted(subject(), on) !== accepted);
    expect(differing).toEqual([]);
  });

  it('are accepted and refused on a listening target as by QEMU 10.0', () => {
    const listening = subject([], { incomingStarted: true });
    const differing = qemu.listeningTarget.filter(({ on, accepted }) => isAccepted(listening, on) !== accepted);
    expect(differing).toEqual([]);
    expect(refusalOf(() => changeCapabilities(listening, [{ capability: 'multifd', state: true }]))).toMatchObject({
      code: 'too_late_to_set',
      kind: 'conflict',
    });
  });

  it('cannot be switched off while another capability needs them, as in QEMU 10.0', () => {
    const recorded = qemu.source.switchOffRefused;
    expect(recorded.map(({ on, off }) => isAccepted(subject(on), [off], false))).toEqual([false, false, false]);
  });

  it('are checked together with parameters as in QEMU 10.0, in either order', () => {
    const differing = qemu.withParameters.filter((entry) => {
      const parameters = entry.parameters as Record<string, unknown>;
      const changed = changeParameters(subject(), parameters);
      const parametersFirst = isAccepted(subject([], { parameters: changed }), entry.on);
      const capabilitiesFirst = refusalOf(() => changeParameters(subject(entry.on), parameters)) === null;
      const expected = entry.parametersThenCapabilities.every(({ accepted }) => accepted);
      const answers = entry.capabilitiesThenParameters;
      // QEMU compares `mapped-ram` with the values before the change, so it refuses only the change after that.
      return parametersFirst !== expected || capabilitiesFirst !== answers.every(({ accepted }) => accepted);
    });
    expect(differing).toEqual([]);
  });

  it('are refused with all violations at once, each with its pointer', () => {
    const list = ['switchover-ack', 'events', 'postcopy-preempt'].map((capability) => ({ capability, state: true }));
    const refusal = refusalOf(() => changeCapabilities(subject(), list));
    expect(refusal).toMatchObject({ code: 'incompatible_capabilities', kind: 'invalid' });
    expect(refusal?.violations.map(({ pointer }) => pointer).sort()).toEqual([
      '/capabilities/0/capability',
      '/capabilities/2/capability',
    ]);
  });

  it('with an unknown name or a state that is no boolean are malformed', () => {
    const list = [
      { capability: 'compress', state: true },
      { capability: '__proto__', state: true },
      { capability: 'events', state: 'on' as unknown as boolean },
    ];
    const refusal = refusalOf(() => changeCapabilities(subject(), list));
    expect(refusal).toMatchObject({ code: 'unknown_capability', kind: 'malformed' });
    expect(refusal?.violations.map(({ pointer }) => pointer)).toEqual([
      '/capabilities/0/capability',
      '/capabilities/1/capability',
      '/capabilities/2/state',
    ]);
  });

  it('have the last state if one is named twice', () => {
    const list = [true, false].map((state) => ({ capability: 'events', state }));
    expect(changeCapabilities(subject(), list).has('events')).toBe(false);
  });

  it('are unchanged if a parameter of the same request is refused', () => {
    const values = new Map<ParameterName, ParameterValue>(defaultParameters());
    const given = subject(['zero-copy-send', 'multifd'], { parameters: values });
    expect(refusalOf(() => changeParameters(given, { 'multifd-compression': 'zstd' }))).toMatchObject({
      code: 'incompatible_parameters',
    });
    expect(values.get('multifd-compression')).toBe('none');
  });
});
