import { describe, expect, it } from 'vitest';
import { referenceFill } from '../../../src/engine/kernels/guest-reference.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { bodyOf } from '../../../src/machine/synthetic/guest-devices.ts';
import { combinations } from '../../helpers/combinations.ts';
import {
  clearDirtyLog,
  copyRam,
  devicesOf,
  type GuestOptions,
  isDirty,
  ledgerWord,
  MIB,
  nextPanic,
  pageCount,
  pageOf,
  startedGuest,
  startGuest,
  untilTicks,
  untilWritten,
} from '../guest-bench.ts';

const [ROUNDS = 0] = combinations<readonly number[]>([20], [8]);

describe('the synthetic machine', () => {
  it('dirties its memory, checks it and ticks, and finds no fault', async () => {
    const machine = startGuest({ vcpus: 2 });
    await untilTicks(machine, 3);
    await untilWritten(machine, 1000);
    const { guest, vcpus, ramBlocks } = machine.describe();
    expect(ramBlocks).toEqual([{ name: 'ferry.ram', bytes: 8 * MIB }]);
    expect(vcpus).toBe(2);
    expect(guest?.panic).toBeNull();
    expect(guest?.pagesChecked).toBeGreaterThanOrEqual(guest?.pagesWritten ?? 0);
    expect(machine.console()).toMatch(/^vmferry synthetic guest: 8 MiB of RAM, vCPUs: 2\ntick 1\ntick 2\ntick 3\n/);
  });

  const held: readonly GuestOptions[] = [
    { vcpus: 3, segmentBytesMax: 2 * MIB },
    { vcpus: 1 },
    { vcpus: 2, workload: { pattern: 'hot', rate: 500 * MIB, check: 500 * MIB } },
  ];

  it.each(combinations(held, held.slice(0, 1)))('changes no byte after a hold has resolved (%o)', async (options) => {
    const machine = startGuest(options);
    const other = startGuest({ workload: { rate: 0 } });
    await untilWritten(machine, 200);
    for (let round = 0; round < 4; round += 1) {
      await machine.hold('operator');
      const before = copyRam(machine);
      const devices = devicesOf(machine).map(({ body }) => Buffer.from(body).toString('hex'));
      await untilTicks(other, other.describe().guest!.ticks + 1);
      expect(changedPages(before, copyRam(machine))).toEqual([]);
      expect(devicesOf(machine).map(({ body }) => Buffer.from(body).toString('hex'))).toEqual(devices);
      machine.release('operator');
    }
  });

  const dirtying: readonly GuestOptions[] = [
    { vcpus: 3, segmentBytesMax: 2 * MIB, workload: { pattern: 'random', span: 8 * MIB, rate: 200 * MIB } },
    { vcpus: 1 },
    { vcpus: 2, workload: { pattern: 'seq', rate: 200 * MIB } },
    { vcpus: 2, workload: { pattern: 'hot', rate: 200 * MIB } },
  ];

  it.each(combinations(dirtying, dirtying.slice(0, 1)))(
    'marks every changed page in the dirty log (%o)',
    async (options) => {
      const machine = await startedGuest(options);
      for (let round = 0; round < ROUNDS; round += 1) {
        clearDirtyLog(machine);
        const before = copyRam(machine);
        const written = machine.describe().guest?.pagesWritten ?? 0;
        machine.release('operator');
        await untilWritten(machine, written + 20);
        await machine.hold('operator');
        const changed = changedPages(before, copyRam(machine));
        expect(changed.length).toBeGreaterThan(1);
        expect(changed.filter((page) => !isDirty(machine, page))).toEqual([]);
      }
    },
  );

  it('boots completely even if it is started with a hold, and then does nothing', async () => {
    const machine = startGuest({ holds: ['operator'], vcpus: 2, workload: { fill: 'random' } });
    await machine.hold('operator');
    const pages = pageCount(machine);
    for (let page = 6; page < pages; page += 1) {
      expect(Buffer.compare(pageOf(machine, page), referenceFill(page, 7, 1))).toBe(0);
    }
    expect(pageOf(machine, 0).some((byte) => byte !== 0)).toBe(true);
    expect(machine.describe().guest).toMatchObject({ ticks: 0, pagesWritten: 0 });
  });

  it('finds no fault while its other vCPUs still boot', async () => {
    const options = { ramBytes: 32 * MIB, vcpus: 4, workload: { fill: 'random', check: 2 ** 30 } } as const;
    const machine = startGuest(options);
    await untilWritten(machine, 500);
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('fills a quarter of its RAM with random content by default, and leaves the rest zero', async () => {
    const machine = startGuest({ holds: ['operator'] });
    await machine.hold('operator');
    const filled = copyRam(machine).map((page) => page.some((byte) => byte !== 0));
    expect(filled.slice(1536).every((isFilled) => isFilled)).toBe(true);
    expect(filled.slice(1, 1536).some((isFilled) => isFilled)).toBe(false);
  });

  it('does not write RAM while it waits for an incoming guest', async () => {
    const machine = startGuest({ holds: ['incoming'], workload: { fill: 'random' } });
    await machine.hold('operator');
    const other = startGuest();
    await untilTicks(other, 1);
    expect(copyRam(machine).every((page) => page.every((byte) => byte === 0))).toBe(true);
    expect(machine.console()).toBe('');
  });

  it('runs only when the last of several holds is released', async () => {
    const machine = await startedGuest();
    const { ticks } = machine.describe().guest!;
    await machine.hold('migration');
    machine.release('operator');
    expect(machine.isHeldFor('operator')).toBe(false);
    expect(machine.isHeldFor('migration')).toBe(true);
    const other = startGuest();
    await untilTicks(other, 2);
    expect(machine.describe().guest!.ticks).toBe(ticks);
    machine.release('migration');
    await untilTicks(machine, ticks + 1);
  });

  it('never dirties more than its rate allows in the elapsed guest time, and not much less', async () => {
    // So low that a vCPU can write what is due also while other work on the machine holds it up.
    const rate = 20 * MIB;
    const machine = startGuest({ vcpus: 2, workload: { rate } });
    await untilTicks(machine, 8);
    await machine.hold('operator');
    const seconds = guestSeconds(machine);
    const dirtied = machine.describe().guest!.pagesWritten * 4096;
    // Each vCPU keeps its own time; what the other's slice is ahead of vCPU 0 is at most some milliseconds of work.
    expect(dirtied).toBeLessThan(rate * (seconds + 0.1));
    expect(dirtied).toBeGreaterThan(rate * seconds * 0.5);
  });

  it('dirties less while it is throttled', async () => {
    const rate = 100 * MIB;
    const machine = startGuest({ holds: ['operator'], workload: { rate } });
    await machine.hold('operator');
    new VcpuControl(machine.transferSource().vcpuControl!).throttlePercent = 90;
    machine.release('operator');
    await untilTicks(machine, 6);
    await machine.hold('operator');
    const dirtied = machine.describe().guest!.pagesWritten * 4096;
    expect(dirtied).toBeLessThan(rate * guestSeconds(machine) * 0.4);
    expect(dirtied).toBeGreaterThan(0);
  });

  it('accepts a changed workload while it runs', async () => {
    const machine = startGuest({ workload: { rate: 0, span: 0 } });
    await untilTicks(machine, 1);
    expect(machine.describe().guest!.pagesWritten).toBe(0);
    machine.setWorkload({ rate: 50 * MIB, span: MIB, pattern: 'seq' });
    expect(machine.describe().guest!.workload).toMatchObject({ rate: 50 * MIB, span: MIB, pattern: 'seq' });
    await untilWritten(machine, 600);
    machine.setWorkload({ rate: 0 });
    await machine.hold('operator');
    const written = Array.from({ length: pageCount(machine) }, (_, page) => page).filter((page) =>
      ledgerWord(machine, page),
    );
    expect(written).toEqual(Array.from({ length: 256 }, (_, index) => 6 + index));
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('refuses an invalid workload and keeps the present one', async () => {
    const machine = startGuest();
    const { workload } = machine.describe().guest!;
    expect(() => machine.setWorkload({ rate: 1, span: 8 * MIB + 1 })).toThrow(/span is 8388609; allowed .* 8388608/);
    expect(() => machine.setWorkload({ rate: -1 })).toThrow(/rate is -1/);
    expect(() => machine.setWorkload({ rate: 0.5 })).toThrow(/rate is 0.5/);
    expect(() => machine.setWorkload({ pattern: 'odd' as 'hot' })).toThrow(
      /pattern is odd; allowed are hot, seq, random/,
    );
    expect(machine.describe().guest!.workload).toEqual(workload);
  });

  it.each<[string, GuestOptions, RegExp]>([
    ['RAM that is no multiple of the page', { ramBytes: 8 * MIB + 1 }, /no multiple of 4096/],
    ['too little RAM', { ramBytes: 8192, workload: { span: 0 } }, /too few/],
    ['no vCPU', { vcpus: 0 }, /allowed are 1 to 64/],
    ['too many vCPUs', { vcpus: 65 }, /allowed are 1 to 64/],
    ['a span above its RAM', { workload: { span: 9 * MIB } }, /span/],
  ])('cannot be started with %s', (_, options, message) => {
    expect(() => startGuest(options)).toThrow(message);
  });

  it('reports a vCPU thread that dies, and can still be stopped and closed', async () => {
    const machine = startGuest({ holds: ['operator'], vcpus: 2 });
    await machine.hold('operator');
    const body = bodyOf(
      devicesOf(machine).find(({ idstr, instanceId }) => idstr === 'ferry-vcpu' && instanceId === 1)!,
    );
    body.write('cursor', 2 ** 40);
    const panic = nextPanic(machine);
    machine.release('operator');
    await expect(panic).resolves.toMatchObject({ kind: 'vcpu-died', address: null });
    expect(machine.isHeldFor('panic')).toBe(true);
    await machine.hold('operator');
    await machine.close();
  });

  it('ends its threads if it is closed while it boots', async () => {
    const machine = startGuest({ ramBytes: 64 * MIB, workload: { fill: 'random' } });
    await machine.close();
  });
});

function guestSeconds(machine: ReturnType<typeof startGuest>): number {
  const timer = bodyOf(devicesOf(machine).find(({ idstr }) => idstr === 'ferry-timer')!);
  return timer.read('ticks') / 10 + timer.read('since-tick-us') / 1e6;
}

function changedPages(before: readonly Uint8Array[], after: readonly Uint8Array[]): number[] {
  return after.flatMap((bytes, page) => (Buffer.compare(bytes, before[page]!) === 0 ? [] : [page]));
}
