import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopRule } from '../../../src/engine/convergence/stop-rule.ts';
import { liveParameterCells } from '../../helpers/live-parameters.ts';

const MIB = 2 ** 20;
const live = (downtimeLimitMs: number, bandwidth = 0) =>
  liveParameterCells({ 'downtime-limit': downtimeLimitMs, 'avail-switchover-bandwidth': bandwidth });

describe('the stop of the guest is allowed', () => {
  it('if nothing is left, with any limit', () => {
    expect(new StopRule(live(0)).allows(0, 0)).toBe(true);
  });

  it('never while the bandwidth is unknown', () => {
    expect(new StopRule(live(300)).allows(4096, 0)).toBe(false);
  });

  it('only if the downtime by the measured bandwidth is within the limit', () => {
    const bytes = fc.nat(2 ** 40);
    fc.assert(
      fc.property(fc.nat(2_000_000), bytes, bytes, bytes, (limit, pending, bandwidth, found) => {
        const rule = new StopRule(live(limit));
        rule.passEnded(found, pending);
        const isAllowed = pending > 0 && rule.allows(pending, bandwidth);
        expect(isAllowed && (pending * 1000) / bandwidth > limit).toBe(false);
      }),
    );
  });

  it('at the limit if passes do not shrink, and at a quarter of it while they do', () => {
    const rule = new StopRule(live(300));
    const bandwidth = 1000 * MIB;
    rule.passEnded(200 * MIB, 200 * MIB);
    expect(rule.allows(250 * MIB, bandwidth)).toBe(true);
    expect(rule.allows(280 * MIB, bandwidth)).toBe(false);
    rule.passEnded(600 * MIB, 250 * MIB);
    expect(rule.allows(250 * MIB, bandwidth)).toBe(false);
    expect(rule.allows(60 * MIB, bandwidth)).toBe(true);
  });

  it('by the bandwidth that the operator has set, if any', () => {
    const rule = new StopRule(live(300, 1000 * MIB));
    rule.passEnded(MIB, MIB);
    expect(rule.allows(200 * MIB, MIB)).toBe(true);
  });
});
