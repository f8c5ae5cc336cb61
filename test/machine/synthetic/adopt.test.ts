import { describe, expect, it } from 'vitest';
import type { LoadedMachine } from '../../../src/engine/memory/machine-state.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import { DeviceBody } from '../../../src/machine/synthetic/device-bodies.ts';
import { shared } from '../../helpers/shared.ts';
import {
  copyRam,
  devicesOf,
  loadedFrom,
  MIB,
  moveGuest,
  nextPanic,
  pageOf,
  startedGuest,
  startGuest,
  untilTicks,
  untilWritten,
} from '../guest-bench.ts';

/** The console must show consecutive ticks: no tick is missing or repeated. */
function ticksOf(console: string): number[] {
  return [...console.matchAll(/tick (\d+)\n/g)].map((match) => Number(match[1]));
}

describe('a guest that moves', () => {
  it('continues in its state before the move: ticks, counts, console and workload', async () => {
    const source = startGuest({ vcpus: 2, workload: { span: 3 * MIB, fill: 'text' } });
    await untilTicks(source, 2);
    await source.hold('migration');
    const left = source.describe().guest!;
    // Other options than those of the source: the arriving state applies.
    const target = startGuest({
      vcpus: 2,
      holds: ['incoming'],
      seed: 99,
      segmentBytesMax: 2 * MIB,
      workload: { rate: 0 },
    });
    moveGuest(source, target);
    expect(target.describe().guest).toEqual(left);
    expect(target.console()).toBe(source.console());
    target.release('incoming');
    await untilTicks(target, left.ticks + 3);
    await untilWritten(target, left.pagesWritten + 500);
    const ticks = ticksOf(target.console());
    expect(ticks).toEqual(ticks.map((_, index) => index + 1));
    expect(ticks.length).toBeGreaterThanOrEqual(left.ticks + 3);
    expect(target.describe().guest!.panic).toBeNull();
  });

  it('is unchanged after many moves in both directions', async () => {
    let here = startGuest({ vcpus: 2, workload: { rate: 100 * MIB, check: 100 * MIB } });
    let there = startGuest({ vcpus: 2, holds: ['incoming'] });
    await untilWritten(here, 100);
    for (let move = 0; move < 20; move += 1) {
      await here.hold('incoming');
      await there.hold('incoming');
      const { pagesWritten } = here.describe().guest!;
      moveGuest(here, there);
      there.release('incoming');
      await untilWritten(there, pagesWritten + 100);
      [here, there] = [there, here];
    }
    expect(here.describe().guest!.panic).toBeNull();
    const ticks = ticksOf(here.console());
    expect(ticks).toEqual(ticks.map((_, index) => index + 1));
  });

  it('keeps a panic and its reason', async () => {
    const source = await startedGuest();
    const panic = nextPanic(source);
    pageOf(source, 600).fill(0xee, 0, 16);
    source.release('operator');
    const found = await panic;
    await source.hold('migration');
    const target = startGuest({ holds: ['incoming'] });
    moveGuest(source, target);
    target.release('incoming');
    expect(target.describe().guest!.panic).toEqual(found);
    expect(target.isHeldFor('panic')).toBe(true);
  });

  it('is held until it is released, and a stopped guest stays stopped', async () => {
    const source = await startedGuest();
    const target = startGuest({ holds: ['incoming', 'operator'] });
    moveGuest(source, target);
    target.release('incoming');
    const before = copyRam(target);
    const other = startGuest();
    await untilTicks(other, 2);
    expect(copyRam(target).every((bytes, page) => Buffer.compare(bytes, before[page]!) === 0)).toBe(true);
    target.release('operator');
    await untilWritten(target, target.describe().guest!.pagesWritten + 10);
  });

  it('can be replaced by an earlier state of itself, even after a panic', async () => {
    const machine = await startedGuest({ workload: { check: 256 * MIB } });
    const [ram, loaded] = [copyRam(machine), loadedFrom(machine)];
    const { pagesWritten } = machine.describe().guest!;
    const panic = nextPanic(machine);
    pageOf(machine, 1000)[5]! ^= 1;
    machine.release('operator');
    await panic;
    await machine.hold('snapshot');
    ram.forEach((bytes, page) => {
      pageOf(machine, page).set(bytes);
    });
    machine.adopt(loaded);
    expect(machine.describe().guest).toMatchObject({ pagesWritten, panic: null });
    machine.release('snapshot');
    await untilWritten(machine, pagesWritten + 500);
    expect(machine.describe().guest!.panic).toBeNull();
  });

  it('is not replaced while a vCPU runs', async () => {
    const machine = startGuest({ workload: { rate: 0 } });
    const loaded = loadedFrom(machine);
    const control = new VcpuControl(machine.transferSource().vcpuControl!);
    expect(control.enter()).toBe(true);
    expect(() => machine.adopt(loaded)).toThrow(/whose vCPUs run/);
    control.leave();
    await machine.hold('incoming');
    machine.adopt(loaded);
  });

  it('cannot be replaced by an image', async () => {
    const machine = await startedGuest();
    expect(() => machine.adopt({ globalState: 'running', state: { form: 'image' } as never })).toThrow(/image/);
  });
});

type Change = (bodies: Map<string, DeviceBody>) => void;

describe('invalid device states', () => {
  // A refusal changes neither of the two, so all tests use the same.
  const guests = shared(async () => ({ source: await startedGuest(), target: startGuest({ holds: ['incoming'] }) }));

  it.each<[string, Change, RegExp]>([
    ['a span above RAM', (bodies) => bodies.get('ferry-workload 0')!.write('span', 8 * MIB + 1), /span is 8388609/],
    ['a rate of 2^63', (bodies) => bodies.get('ferry-workload 0')!.bytes.fill(0x80, 0, 1), /rate of ferry-workload 0/],
    ['an unknown pattern', (bodies) => bodies.get('ferry-workload 0')!.write('pattern', 9), /pattern .* is 9/],
    ['an unknown fill', (bodies) => bodies.get('ferry-workload 0')!.write('fill', 0), /fill .* is 0/],
    [
      'more than a tick since the last',
      (bodies) => bodies.get('ferry-timer 0')!.write('since-tick-us', 100_000),
      /since-tick-us/,
    ],
    [
      '2^64 - 1 ticks',
      (bodies) => bodies.get('ferry-timer 0')!.bytes.fill(0xff, 0, 8),
      /ticks .* 18446744073709551615/,
    ],
    ['a console beyond 2^53', (bodies) => bodies.get('ferry-console 0')!.bytes.fill(0xff, 0, 8), /written/],
    [
      'a cursor beyond the pages',
      (bodies) => bodies.get('ferry-vcpu 0')!.write('cursor', 100_000),
      /cursor .* is 100000/,
    ],
    ['a sweep beyond the pages', (bodies) => bodies.get('ferry-vcpu 0')!.write('sweep', 100_000), /sweep .* is 100000/],
    ['a random generator in the state 0', (bodies) => bodies.get('ferry-vcpu 0')!.bytes.fill(0, 32), /random0/],
  ])('are refused, and nothing changes, because of %s', (_, change, message) => {
    const { source, target } = guests();
    const loaded = loadedFrom(source, target);
    change(bodiesByName(source, loaded));
    const before = devicesOf(target).map(({ body }) => Buffer.from(body).toString('hex'));
    expect(() => target.adopt(loaded)).toThrow(message);
    expect(devicesOf(target).map(({ body }) => Buffer.from(body).toString('hex'))).toEqual(before);
  });

  it.each<[string, (bodies: readonly Uint8Array[]) => Uint8Array[], RegExp]>([
    ['a missing device', (bodies) => bodies.slice(1), /5 devices were loaded for a guest that has 6/],
    ['a truncated body', ([first, ...rest]) => [first!.subarray(1), ...rest], /ferry-workload 0 has 29 bytes of state/],
    [
      'an invalid panic',
      (bodies) => [...bodies.slice(0, 4), new Uint8Array(2052).fill(1, 3, 4), ...bodies.slice(5)],
      /ferry-panic is not the record of a panic/,
    ],
    ['an empty body', ([, ...rest]) => [new Uint8Array(), ...rest], /0 bytes of state/],
  ])('are refused, and nothing changes, because of %s', (_, change, message) => {
    const { source, target } = guests();
    const { state } = loadedFrom(source, target);
    if (state.form !== 'devices') throw new Error('a synthetic guest has devices');
    const bodies = change(state.bodies);
    expect(() => target.adopt({ globalState: 'running', state: { ...state, bodies } })).toThrow(message);
  });
});

function bodiesByName(source: ReturnType<typeof startGuest>, { state }: LoadedMachine): Map<string, DeviceBody> {
  if (state.form !== 'devices') throw new Error('a synthetic guest has devices');
  const { bodies } = state;
  return new Map(
    devicesOf(source).map((device, index) => {
      return [`${device.idstr} ${device.instanceId}`, new DeviceBody(device, bodies[index]!)];
    }),
  );
}
