// Migrations between two guests in this process, without services, so that a test can stop halfway and change the
// memory of either guest.

import { expect, onTestFinished, vi } from 'vitest';
import type { GuestPanic } from '../../src/domain/ports/hypervisor.ts';
import type { MigrationEnd, TransferListener } from '../../src/domain/ports/migration-session.ts';
import { createTransferEngine } from '../../src/engine/engine.ts';
import {
  DIRTY_LOG_ADDRESS,
  MIGRATION_BITMAP_ADDRESS,
  PAGE_BYTES,
  RAM_ADDRESS,
} from '../../src/engine/memory/layout.ts';
import type { IncomingTransfer, OutgoingTransfer } from '../../src/engine/transfer-engine.ts';
import type { SyntheticMachine } from '../../src/machine/synthetic/synthetic-machine.ts';
import {
  dataPages,
  type GuestOptions,
  MIB,
  nextPanic,
  pageCount,
  pageOf,
  startGuest,
  untilWritten,
} from '../machine/guest-bench.ts';
import { temporaryDirectory } from './app.ts';
import { liveParameters } from './live-parameters.ts';

export type Pair = { readonly source: SyntheticMachine; readonly target: SyntheticMachine };

/** A guest that has written for some time, and a guest that waits for it. */
export async function guestPair(options: GuestOptions = {}, targetOptions: GuestOptions = {}): Promise<Pair> {
  const source = startGuest(options);
  await untilWritten(source, 1000);
  return { source, target: startGuest({ ...options, ...targetOptions, seed: 99, holds: ['incoming'] }) };
}

export type Tampering = {
  /** The source's guest is stopped. The target has everything except its last writes. */
  readonly beforeSwitchover?: (pair: Pair) => void | Promise<void>;
  /** The target has everything; its guest has not run yet. */
  readonly beforeAdoption?: (pair: Pair) => void;
};

export type Moved = { readonly end: MigrationEnd; readonly panic: Promise<GuestPanic> };

const PARAMETERS = liveParameters({ 'max-bandwidth': 60_000_000 });
/** Pages that the guest writes after everything has been sent: so many have to be sent with the guest stopped. */
const LATE_WRITES = 300;

const QUIET: TransferListener = {
  status: () => {},
  pass: () => {},
  passEnded: () => {},
  limitVcpus: () => {},
  guestStopped: () => {},
  guestResumed: () => {},
  shared: () => {},
  rejected: () => {},
  released: () => {},
  releaseDisks: async () => {},
};

/** Moves the guest, which then runs at the target. `panic` settles if it detects a fault. */
export async function migrate(pair: Pair, tampering: Tampering = {}): Promise<Moved> {
  const { source, target } = pair;
  const engine = createTransferEngine();
  onTestFinished(() => engine.close());
  const common = {
    fileRoot: temporaryDirectory(),
    capabilities: ['return-path', 'pause-before-switchover'],
    deadlines: { connectMs: 10_000, stallMs: 20_000, handoverMs: 20_000, advanceMs: 20_000 },
    uuid: '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab',
    keepListening: false,
  };
  const channels = { main: { transport: 'tcp', host: '127.0.0.1', port: 0 } } as const;
  const incoming = engine.startIncoming({ ...common, channels, target: target.transferTarget() }, QUIET);
  const plan = {
    ...common,
    opensReturnPath: true,
    sharedId: '5f0c1c6e-9a3d-4b6e-8f10-0123456789cd',
    source: source.transferSource(),
    parameters: PARAMETERS,
    detectsZeroPages: true,
  };
  const outgoing = engine.startOutgoing({ ...plan, channels: { main: await incoming.listening } }, QUIET);
  await untilAllReceived(outgoing, incoming);
  await writeOn(source);
  await tampering.beforeSwitchover?.(pair);
  outgoing.continueSwitchover();
  const loaded = await incoming.loaded;
  tampering.beforeAdoption?.(pair);
  target.adopt(loaded);
  const panic = nextPanic(target);
  target.release('incoming');
  incoming.started();
  expect(await incoming.ended).toMatchObject({ status: 'completed', error: null });
  return { end: await outgoing.ended, panic };
}

/** Lets the guest run for some time without the engine, which then finds its pages in the dirty log. */
async function writeOn(source: SyntheticMachine): Promise<void> {
  const written = source.describe().guest?.pagesWritten ?? 0;
  source.release('migration');
  await untilWritten(source, written + LATE_WRITES);
  await source.hold('migration');
}

/** The source is in pre-switchover, and the target has applied every sent page. */
async function untilAllReceived(outgoing: OutgoingTransfer, incoming: IncomingTransfer): Promise<void> {
  const progress = (transfer: OutgoingTransfer | IncomingTransfer) => {
    const { transferredBytes, normalPages, duplicatePages } = transfer.figures();
    return JSON.stringify([transferredBytes, normalPages, duplicatePages]);
  };
  await vi.waitFor(
    () => {
      const [sent, received] = [progress(outgoing), progress(incoming)];
      if (outgoing.status.read() !== 'pre-switchover' || sent !== received) throw new Error(`${sent} ${received}`);
    },
    { timeout: 20_000, interval: 5 },
  );
}

/** The guest pages that differ between both sides. */
export function differingPages({ source, target }: Pair): number[] {
  const pages = Array.from({ length: pageCount(source) }, (_, page) => page);
  return pages.filter((page) => Buffer.compare(pageOf(source, page), pageOf(target, page)) !== 0);
}

/** True if the page is still to be sent. */
export function isToBeSent(machine: SyntheticMachine, page: number): boolean {
  return bitsOf(machine, page).some(({ bytes, at, mask }) => (bytes[at]! & mask) !== 0);
}

/** Clears the dirty bit of the page at the source: the fault of a lost dirty bit. */
export function forgetDirtyPage(machine: SyntheticMachine, page: number): void {
  for (const { bytes, at, mask } of bitsOf(machine, page)) bytes[at]! &= ~mask;
}

/** The page's bits in the dirty log and in the migration bitmap. */
function bitsOf(machine: SyntheticMachine, page: number) {
  const { memory } = machine.transferSource();
  const offset = page * PAGE_BYTES;
  const extent = memory.blocks[0]!.extents.findLast(({ blockOffset }) => blockOffset <= offset)!;
  const bit = (extent.address - RAM_ADDRESS + offset - extent.blockOffset) / PAGE_BYTES;
  return [DIRTY_LOG_ADDRESS, MIGRATION_BITMAP_ADDRESS].map((bitmap) => ({
    bytes: new Uint8Array(memory.segments[extent.segment]!.buffer),
    at: bitmap + (bit >> 3),
    mask: 1 << (bit & 7),
  }));
}

/** Exchanges the contents of two pages. */
export function swapPages(machine: SyntheticMachine, first: number, second: number): void {
  const held = Uint8Array.from(pageOf(machine, first));
  pageOf(machine, first).set(pageOf(machine, second));
  pageOf(machine, second).set(held);
}

/** Waits until the guest has checked all of its memory `times` times. */
export async function untilSwept(machine: SyntheticMachine, times: number): Promise<void> {
  const checked = () => machine.describe().guest?.pagesChecked ?? 0;
  const wanted = checked() + times * pageCount(machine);
  await vi.waitFor(
    () => {
      if (machine.describe().guest?.panic === null && checked() < wanted) throw new Error(`${checked()} of ${wanted}`);
    },
    { timeout: 30_000, interval: 5 },
  );
}

/** Migrates a guest without a fault: the target has the same memory, and its guest finds no fault. */
export async function expectSameThere(options: GuestOptions, there: GuestOptions): Promise<void> {
  const pair = await guestPair(options, there);
  let differing = [-1];
  let lateWrites = 0;
  const beforeSwitchover = () => {
    lateWrites = differingPages(pair).length;
  };
  const beforeAdoption = () => {
    differing = differingPages(pair);
  };
  const { end } = await migrate(pair, { beforeSwitchover, beforeAdoption });
  expect(end).toEqual({ status: 'completed', error: null, guest: 'there' });
  // This number of pages had been written after they were sent.
  expect(lateWrites).toBeGreaterThan(50);
  expect(differing).toEqual([]);
  await untilSwept(pair.target, 2);
  const { panic, pagesWritten } = pair.target.describe().guest!;
  expect(panic).toBeNull();
  expect(pagesWritten).toBeGreaterThan(pair.source.describe().guest!.pagesWritten);
}

/** A workload with sent and unsent dirty pages at every moment. */
export const LARGE = { ramBytes: 32 * MIB, workload: { rate: 10 * MIB, span: 22 * MIB } } as const;
/** The first page after the ledger. */
export const FIRST_DATA_PAGE = 1 + 16;

/** Changes a byte to another value: a fixed value would leave one page in 256 unchanged. */
export function flip(page: Uint8Array, offset: number): void {
  page[offset]! ^= 0x5a;
}

/** Damages a written page at the target, whose guest detects the damage. */
export async function expectDamageFound(pair: Pair, kind: string, damage: (page: Uint8Array) => void): Promise<void> {
  let page = 0;
  const { panic } = await migrate(pair, {
    beforeAdoption: ({ target }) => {
      page = dataPages(target, true)[7]!;
      damage(pageOf(target, page));
    },
  });
  await expect(panic).resolves.toMatchObject({ kind, address: page * PAGE_BYTES });
  expect((await panic).detail).toContain(`page ${page} `);
}

/** A data page that differs and has this property. */
export function pageWhere(pair: Pair, holds: (page: number) => boolean): number {
  const differing = differingPages(pair).filter((page) => page >= FIRST_DATA_PAGE);
  const page = differing.find(holds);
  if (page === undefined) throw new Error(`none of these pages that differ is of use: ${differing.join(', ')}`);
  return page;
}

/** The sequence number of the write in a data page; 0 without a write. */
export function sequenceOf(machine: Parameters<typeof pageCount>[0], page: number): number {
  const bytes = pageOf(machine, page);
  return Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(16, true));
}
