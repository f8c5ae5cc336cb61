// The checks of the guest are effective: the guest detects every kind of memory fault of a migration at the target,
// and reports none without a fault. test/soak/guest-check.test.ts has more kinds of guests and of damage.

import { describe, expect, test } from 'vitest';
import { PAGE_BYTES } from '../../src/engine/memory/layout.ts';
import { testInSoak } from '../helpers/combinations.ts';
import {
  differingPages,
  expectDamageFound,
  expectSameThere,
  flip,
  forgetDirtyPage,
  guestPair,
  LARGE,
  migrate,
  pageWhere,
  sequenceOf,
  swapPages,
} from '../helpers/direct-migration.ts';
import { localService } from '../helpers/guest-service.ts';
import { dataPages, ledgerWord, MIB, pageOf, startGuest } from '../machine/guest-bench.ts';

const WORKLOAD = { rate: 10 * MIB, span: 5 * MIB } as const;

describe('a migration without faults', () => {
  test('gives the target the same memory, in which the guest finds no fault', async () => {
    // Three vCPUs, RAM full of noise, in four segments at the source and three at the target.
    const options = { vcpus: 3, segmentBytesMax: 2 * MIB, workload: { ...WORKLOAD, fill: 'random' as const } };
    await expectSameThere(options, { segmentBytesMax: 3 * MIB });
  });
});

testInSoak('a changed byte at the target in the body of a written page stops the guest there', async () => {
  const pair = await guestPair({ vcpus: 2, workload: WORKLOAD });
  await expectDamageFound(pair, 'torn', (page) => flip(page, 4000));
  expect(pair.target.isHeldFor('panic')).toBe(true);
  expect(pair.source.describe().guest?.panic).toBeNull();
});

describe('one unsent dirty page', () => {
  test('is reported as stale, with its present and its missing write', async () => {
    const pair = await guestPair({ ...LARGE, vcpus: 2, segmentBytesMax: 5 * MIB });
    let page = 0;
    let expected = '';
    const { panic } = await migrate(pair, {
      beforeSwitchover: ({ source, target }) => {
        page = pageWhere(pair, (candidate) => sequenceOf(target, candidate) > 0);
        const [old, wanted] = [sequenceOf(target, page), ledgerWord(source, page)];
        expected = `holds its write ${old}; expected write ${wanted}`;
        expect(old).toBeLessThan(wanted);
        forgetDirtyPage(source, page);
      },
      beforeAdoption: () => expect(differingPages(pair)).toEqual([page]),
    });
    await expect(panic).resolves.toMatchObject({ kind: 'stale', address: page * PAGE_BYTES });
    expect((await panic).detail).toContain(expected);
  });
});

testInSoak('two swapped pages are reported as misplaced, in any segments', async () => {
  const pair = await guestPair({ vcpus: 3, workload: { ...WORKLOAD, span: 6 * MIB } }, { segmentBytesMax: 2 * MIB });
  let swapped: number[] = [];
  const { panic } = await migrate(pair, {
    beforeAdoption: ({ target }) => {
      const written = dataPages(target, true);
      swapped = [written[0]!, written.at(-1)!];
      expect(swapped[1]! - swapped[0]!).toBeGreaterThan(512);
      swapPages(target, swapped[0]!, swapped[1]!);
    },
  });
  const { kind, address, detail } = await panic;
  expect([kind, swapped.includes(address! / PAGE_BYTES)]).toEqual(['misplaced', true]);
  expect(detail).toContain(`of page ${swapped.find((page) => page !== address! / PAGE_BYTES)}`);
});

describe('a service whose guest was damaged during the migration', () => {
  test('is guest-panicked, reports the fault, and does not resume the guest', async () => {
    const machine = startGuest({ ramBytes: 16 * MIB, holds: ['incoming'] });
    const adopt = machine.adopt.bind(machine);
    let page = 0;
    machine.adopt = (loaded) => {
      page = dataPages(machine, true)[3]!;
      pageOf(machine, page)[3000]! ^= 0x10;
      adopt(loaded);
    };
    const source = await localService();
    const target = await localService(['--incoming', 'tcp:127.0.0.1:0'], { machine });
    expect(await source.migrate(await target.incomingUri())).toMatchObject({ status: 'completed' });
    await expect.poll(() => target.runState(), { timeout: 10_000 }).toBe('guest-panicked');
    const { panic } = await target.guest();
    expect(panic).toMatchObject({ kind: 'torn', address: page * PAGE_BYTES });
    const refused = await target.call('/cont', { method: 'POST' });
    expect([refused.status, refused.json.code]).toEqual([409, 'machine_reset_required']);
    expect(target.app.domain.events.since(0, 1000).map(({ name }) => name)).toContain('GUEST_PANICKED');
    expect(await source.runState()).toBe('postmigrate');
  });
});
