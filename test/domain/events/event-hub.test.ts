import { expect, test } from 'vitest';
import { EventHub } from '../../../src/domain/events/event-hub.ts';
import { openedStore } from '../../store/fixtures.ts';
import { FakeTime } from '../fakes/fake-time.ts';

test('a stored change does not fail if old events cannot be removed', () => {
  const store = openedStore();
  const full = new Error('the disk is full');
  const prune = () => {
    throw full;
  };
  const faults: unknown[] = [];
  const events = new EventHub({ ...store, events: { ...store.events, prune } }, new FakeTime(), (fault) => {
    faults.push(fault);
  });
  const told: string[] = [];
  events.subscribe(({ name }) => told.push(name));
  expect(events.commit((emit) => emit('STOP'))).toBeUndefined();
  expect([faults, told]).toEqual([[full], ['STOP']]);
  expect(store.events.since(0, 10)).toMatchObject([{ name: 'STOP' }]);
});
