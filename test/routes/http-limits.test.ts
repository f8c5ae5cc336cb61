import { describe, expect, test } from 'vitest';
import { networkOf, RateLimit } from '../../src/routes/http-limits.ts';

function limited(options: { burst: number; perSecond: number; keysMax?: number }) {
  const clock = { ms: 0 };
  return { clock, limit: new RateLimit({ keysMax: 10, ...options, now: () => clock.ms }) };
}

describe('a rate limit', () => {
  test('allows a burst, then its rate, and never more than a burst', () => {
    const { clock, limit } = limited({ burst: 3, perSecond: 2 });
    const taken = () => Array.from({ length: 5 }, () => limit.take('a')).filter((wait) => wait === null).length;
    expect(taken()).toBe(3);
    clock.ms += 500;
    expect(taken()).toBe(1);
    clock.ms += 60_000;
    expect(taken()).toBe(3);
  });

  test('returns the seconds until the next request is allowed', () => {
    const { clock, limit } = limited({ burst: 1, perSecond: 0.1 });
    expect(limit.take('a')).toBeNull();
    expect(limit.take('a')).toBe(10);
    clock.ms += 4000;
    expect(limit.take('a')).toBe(6);
    clock.ms += 6000;
    expect(limit.take('a')).toBeNull();
  });

  test('counts each key separately, and removes the least recently used key', () => {
    const { limit } = limited({ burst: 1, perSecond: 0.001, keysMax: 2 });
    expect([limit.take('a'), limit.take('b')]).toEqual([null, null]);
    expect(limit.take('a')).not.toBeNull();
    expect(limit.take('c')).toBeNull();
    expect(limit.take('a')).not.toBeNull();
    expect(limit.take('b')).toBeNull();
  });
});

describe('the network of an address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1:2:3', 'fe80:0:0:0'],
  ])('of %s is %s', (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
