import { describe, expect, it } from 'vitest';
import type { GuestPanic } from '../../../src/domain/ports/hypervisor.ts';
import type { SyntheticMachine } from '../../../src/machine/synthetic/synthetic-machine.ts';
import { combinations, testInSoak } from '../../helpers/combinations.ts';
import {
  dataPages,
  type GuestOptions,
  ledgerWord,
  MIB,
  moveGuest,
  nextPanic,
  pageOf,
  startedGuest,
  startGuest,
  untilWritten,
} from '../guest-bench.ts';

const PAGE = 4096;

/** Resumes a damaged guest. */
async function findingOf(machine: SyntheticMachine): Promise<GuestPanic> {
  const panic = nextPanic(machine);
  machine.release('operator');
  return panic;
}

/** A guest that sweeps fast, so that a test need not wait for the steady rate. */
function guest(options: GuestOptions = {}): Promise<SyntheticMachine> {
  return startedGuest({ ...options, workload: { check: 256 * MIB, ...options.workload } });
}

describe('the guest detects', () => {
  const flips = [
    ['the body of a written page', 'torn', 4000],
    ['the magic of a written page', 'corrupt', 0],
    ['the checksum of a written page', 'torn', 33],
    ['the first body byte of a written page', 'torn', 64],
    ['the page number of a written page', 'corrupt', 9],
    ['an unused header byte of a written page', 'corrupt', 50],
  ] as const;

  it.each(combinations(flips, flips.slice(0, 2)))('a flipped byte in %s', async (_, kind, offset) => {
    const machine = await guest();
    const page = dataPages(machine, true)[3]!;
    pageOf(machine, page)[offset]! ^= 0x10;
    const panic = await findingOf(machine);
    expect(panic).toMatchObject({ kind, address: page * PAGE });
    expect(panic.detail).toContain(`page ${page} `);
  });

  it.each(combinations([0, 2047, 4095], [4095]))('a flipped byte at %i in a page without writes', async (offset) => {
    const machine = await guest({ vcpus: 2 });
    const page = dataPages(machine, false).at(-1)!;
    pageOf(machine, page)[offset]! ^= 1;
    const panic = await findingOf(machine);
    expect(panic).toMatchObject({ kind: 'corrupt', address: page * PAGE });
    expect(panic.detail).toMatch(/expected 0x0, found 0x1$/);
  });

  it('a flipped byte in the random content of its RAM', async () => {
    const machine = await guest({ segmentBytesMax: 2 * MIB });
    pageOf(machine, 2040)[123]! ^= 0x80;
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'corrupt', address: 2040 * PAGE });
  });

  it('zeros in place of a random page', async () => {
    const machine = await guest();
    pageOf(machine, 1800).fill(0);
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'lost', address: 1800 * PAGE });
  });

  it('a flipped byte in the boot page', async () => {
    const machine = await guest();
    pageOf(machine, 0)[100] = 1;
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'corrupt', address: 0 });
  });

  it('a flipped byte in a ledger word, at any place', async () => {
    for (const offset of combinations([0, 1, 3, 7], [7])) {
      const machine = await guest();
      const page = dataPages(machine, true)[2]!;
      pageOf(machine, 1 + Math.floor(page / 512))[(page % 512) * 8 + offset]! ^= 0x80;
      const panic = await findingOf(machine);
      expect(['corrupt', 'stale']).toContain(panic.kind);
      expect([page * PAGE, (1 + Math.floor(page / 512)) * PAGE]).toContain(panic.address);
    }
  });

  it('a ledger word that no vCPU can have written', async () => {
    const machine = await guest();
    const page = dataPages(machine, false)[2]!;
    pageOf(machine, 1 + Math.floor(page / 512))[(page % 512) * 8 + 6] = 1;
    const address = (1 + Math.floor(page / 512)) * PAGE;
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'corrupt', address });
  });

  testInSoak('a flipped byte in an unused part of the ledger', async () => {
    const machine = await guest();
    pageOf(machine, 1)[3] = 1;
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'corrupt', address: PAGE });
  });

  it('a page with older content, as if one dirty page had not been sent', async () => {
    const machine = await guest({ vcpus: 2 });
    const old = new Map(dataPages(machine, true).map((page) => [page, Uint8Array.from(pageOf(machine, page))]));
    const before = new Map([...old.keys()].map((page) => [page, ledgerWord(machine, page)]));
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    await machine.hold('operator');
    const page = [...old.keys()].find((candidate) => ledgerWord(machine, candidate) > before.get(candidate)!)!;
    pageOf(machine, page).set(old.get(page)!);
    const panic = await findingOf(machine);
    expect(panic).toMatchObject({ kind: 'stale', address: page * PAGE });
    expect(panic.detail).toContain(`holds its write ${before.get(page)}`);
  });

  testInSoak('a written page with its content before the first write', async () => {
    const machine = await guest();
    const page = dataPages(machine, true)[0]!;
    pageOf(machine, page).fill(0);
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'lost', address: page * PAGE });
  });

  it('two swapped pages', async () => {
    const machine = await guest();
    const [first, second] = dataPages(machine, true) as [number, number];
    const held = Uint8Array.from(pageOf(machine, first));
    pageOf(machine, first).set(pageOf(machine, second));
    pageOf(machine, second).set(held);
    const panic = await findingOf(machine);
    expect(panic.kind).toBe('misplaced');
    expect([first * PAGE, second * PAGE]).toContain(panic.address);
  });

  testInSoak('a written page in the place of a page without writes', async () => {
    const machine = await guest();
    const [from, to] = [dataPages(machine, true)[0]!, dataPages(machine, false)[0]!];
    pageOf(machine, to).set(pageOf(machine, from));
    await expect(findingOf(machine)).resolves.toMatchObject({ kind: 'misplaced', address: to * PAGE });
  });

  it('a ledger that is older than a page', async () => {
    const machine = await guest();
    const oldLedger = Uint8Array.from(pageOf(machine, 1));
    machine.release('operator');
    await untilWritten(machine, machine.describe().guest!.pagesWritten + 500);
    await machine.hold('operator');
    pageOf(machine, 1).set(oldLedger);
    const panic = await findingOf(machine);
    expect(panic).toMatchObject({ kind: 'stale', address: PAGE });
    expect(panic.detail).toMatch(/^the ledger says/);
  });

  it('an old page with an old ledger page, when it is adopted', async () => {
    const source = await guest({ workload: { span: MIB } });
    const old = [1, 6, 7, 8, 9].map((page) => ({ page, bytes: Uint8Array.from(pageOf(source, page)) }));
    const oldSums = [6, 7, 8, 9].map((page) => ledgerWord(source, page));
    const others = dataPages(source, true).filter((page) => page > 9);
    source.release('operator');
    await untilWritten(source, source.describe().guest!.pagesWritten + 2000);
    await source.hold('operator');
    expect([6, 7, 8, 9].map((page) => ledgerWord(source, page))).not.toEqual(oldSums);
    expect(others.length).toBeGreaterThan(0);
    // All data pages of the span and the one ledger page they have: a state that was consistent once.
    const target = startGuest({ holds: ['incoming'] });
    for (const { page, bytes } of old.slice(1)) pageOf(source, page).set(bytes);
    const words = pageOf(source, 1);
    words.set(old[0]!.bytes.subarray(6 * 8, 10 * 8), 6 * 8);
    moveGuest(source, target);
    const panic = nextPanic(target);
    target.release('incoming');
    await expect(panic).resolves.toMatchObject({ kind: 'lost', address: null });
    expect(target.describe().guest!.pagesWritten).toBe(source.describe().guest!.pagesWritten);
  });

  it('a fault, stops every vCPU, reports it once, and keeps it as the first fault', async () => {
    const machine = await guest({ vcpus: 3 });
    for (const page of dataPages(machine, true)) pageOf(machine, page)[200]! ^= 1;
    const panics: GuestPanic[] = [];
    machine.onPanic((panic) => panics.push(panic));
    const panic = await findingOf(machine);
    await machine.hold('operator');
    expect(machine.isHeldFor('panic')).toBe(true);
    const { guest: shown } = machine.describe();
    machine.release('operator');
    const other = startGuest();
    await untilWritten(other, 100);
    expect(machine.describe().guest).toEqual(shown);
    expect(shown?.panic).toEqual(panic);
    expect(panics).toEqual([panic]);
  });
});
