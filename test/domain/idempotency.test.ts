import { describe, expect, it } from 'vitest';
import { IDEMPOTENCY_KEPT_MS, idempotency } from '../../src/domain/idempotency.ts';
import { openedStore } from '../store/fixtures.ts';
import { fakeDomain } from './fakes/fake-domain.ts';
import { FakeTime } from './fakes/fake-time.ts';
import { refusalOf } from './fakes/refusal.ts';

const REQUEST = { key: 'k', fingerprint: 'f' };
const ANSWER = { location: '/jobs/1', body: '{}\n', jobSequence: 7 };

describe('a stored answer', () => {
  it('is returned for the same request for a day, and for no other request', () => {
    const time = new FakeTime();
    const answers = idempotency(openedStore(), time);
    expect(answers.find(REQUEST)).toBeNull();
    answers.keep(REQUEST, ANSWER);
    time.pass(IDEMPOTENCY_KEPT_MS - 1);
    expect(answers.find(REQUEST)).toEqual(ANSWER);
    const other = { ...REQUEST, fingerprint: 'g' };
    expect(refusalOf(() => answers.find(other))).toMatchObject({ code: 'idempotency_key_reused', kind: 'invalid' });
    time.pass(1);
    expect([answers.find(REQUEST), answers.find(other)]).toEqual([null, null]);
    answers.keep(other, ANSWER);
    expect(answers.find(other)).toEqual(ANSWER);
  });

  it('is removed in small batches when it expires, so that a clock jump costs little time', () => {
    const time = new FakeTime();
    const store = openedStore();
    const answers = idempotency(store, time);
    const keys = Array.from({ length: 250 }, (_, index) => `old ${index}`);
    for (const key of keys) answers.keep({ ...REQUEST, key }, ANSWER);
    time.pass(IDEMPOTENCY_KEPT_MS);
    const left = () => keys.filter((key) => store.requestKeys.get(key) !== null).length;
    for (const expected of [150, 50, 0]) {
      answers.keep({ ...REQUEST, key: `new ${expected}` }, ANSWER);
      expect(left()).toBe(expected);
    }
    expect(store.requestKeys.get('new 150')).not.toBeNull();
  });

  it('is stored together with the work that was started, or neither is', () => {
    const { domain, store, blocks } = fakeDomain();
    const request = { jobId: 'j', tag: 'a', vmState: 'disk0', devices: ['disk0'] };
    const fail = () => {
      domain.idempotency.keep(REQUEST, ANSWER);
      throw new Error('the disk is full');
    };
    expect(() => domain.snapshots.save(request, fail)).toThrow('the disk is full');
    expect(() => domain.migration.start({ uri: 'tcp:h:1' }, fail)).toThrow('the disk is full');
    expect([store.requestKeys.get('k'), store.jobs.get('j'), blocks.log]).toEqual([null, null, []]);
    expect([domain.jobs.list(), domain.history.list({ limit: 1, cursor: null }).items]).toEqual([[], []]);
    domain.snapshots.save(request, () => domain.idempotency.keep(REQUEST, ANSWER));
    expect(domain.idempotency.find(REQUEST)).toEqual(ANSWER);
  });
});
