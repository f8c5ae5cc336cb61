import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import { GUEST_PAGE, GUEST_STYLE, type GuestStyle } from '../../engine/kernels/guest-kernels.ts';
import { referenceChecksum, referenceFill, referencePage } from '../../engine/kernels/guest-reference.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestIdentity } from './boot-page.ts';
import type { GuestMap } from './guest-map.ts';

/** What stops a vCPU: something in its memory is not what it wrote. */
export class GuestFault extends Error {
  readonly panic: GuestPanic;

  constructor(panic: GuestPanic) {
    super(panic.detail);
    this.name = 'GuestFault';
    this.panic = panic;
  }
}

export type PageFinding = {
  readonly page: number;
  /** What the ledger says: how often the page has been written. */
  readonly seq: number;
  /** Writes that the page's owner ever made. */
  readonly writes: number;
  readonly bytes: Uint8Array;
  readonly map: GuestMap;
  readonly identity: GuestIdentity;
  /** What the page holds before its first write; null is zeros. */
  readonly style: GuestStyle | null;
};

type Header = { readonly page: number; readonly seq: number; readonly vcpu: number; readonly isWhole: boolean };

/**
 * Says what happened to a data page that is not what its ledger word demands:
 *
 * - misplaced: it is whole, but another page;
 * - stale: it is whole, but older than the ledger says, or the ledger is older than it;
 * - lost: it was written, but holds what it held before; or it should hold something and is all zeros;
 * - torn: its own header, but a body that is not of that write;
 * - corrupt: anything else.
 */
export function diagnosePage(finding: PageFinding): GuestPanic {
  const { page, seq, writes, bytes, map } = finding;
  const address = page * PAGE_BYTES;
  if (seq > writes) {
    const said = `the ledger says that page ${page} was written ${seq} times`;
    return {
      kind: 'corrupt',
      address: ledgerAddress(map, page),
      detail: `${said}, but its vCPU made ${writes} writes`,
    };
  }
  const header = readHeader(bytes);
  if (header?.isWhole && header.page !== page) {
    const detail = `page ${page} (address ${hex(address)}) holds write ${header.seq} of page ${header.page}`;
    return { kind: 'misplaced', address, detail };
  }
  if (header?.isWhole && header.seq < seq) {
    const detail = `page ${page} (address ${hex(address)}) holds its write ${header.seq}; expected write ${seq}`;
    return { kind: 'stale', address, detail };
  }
  if (header?.isWhole && header.seq > seq && header.seq <= writes) {
    const said = `the ledger says that page ${page} was written ${seq} times`;
    const detail = `${said}, but the page holds write ${header.seq}`;
    return { kind: 'stale', address: ledgerAddress(map, page), detail };
  }
  return diagnoseContent(finding, header);
}

function diagnoseContent({ page, seq, bytes, map, identity, style }: PageFinding, header: Header | null): GuestPanic {
  const address = page * PAGE_BYTES;
  const unwritten = style === null ? new Uint8Array(PAGE_BYTES) : referenceFill(page, identity.seed, style);
  const isZero = bytes.every((byte) => byte === 0);
  if (isZero || (seq > 0 && isSame(bytes, unwritten))) {
    const found = isZero ? 'is all zeros' : 'is as it was before its first write';
    const expected = seq === 0 ? 'its content from the start' : `its write ${seq}`;
    return { kind: 'lost', address, detail: `page ${page} (address ${hex(address)}) ${found}; expected ${expected}` };
  }
  const bodyStyle = identity.fill === 'text' ? GUEST_STYLE.text : GUEST_STYLE.random;
  const expected =
    seq === 0 ? unwritten : referencePage({ page, seq, vcpu: map.ownerOf(page) }, identity.seed, bodyStyle);
  const where = `page ${page} (address ${hex(address)}), write ${seq}, ${firstDifference(bytes, expected)}`;
  if (header !== null && !header.isWhole && header.page === page && header.seq === seq) {
    return { kind: 'torn', address, detail: `the checksum does not fit the body: ${where}` };
  }
  return { kind: 'corrupt', address, detail: where };
}

/** Says what is wrong with page 0, which never changes. */
export function diagnoseBoot(bytes: Uint8Array, expected: Uint8Array): GuestPanic {
  const header = readHeader(bytes);
  if (header?.isWhole) {
    return { kind: 'misplaced', address: 0, detail: `the boot page holds write ${header.seq} of page ${header.page}` };
  }
  if (bytes.every((byte) => byte === 0)) return { kind: 'lost', address: 0, detail: 'the boot page is all zeros' };
  return { kind: 'corrupt', address: 0, detail: `the boot page, ${firstDifference(bytes, expected)}` };
}

/** @param offset Of the first byte that is not zero in the unused ledger, from the start of RAM. */
export function diagnoseLedger(offset: number): GuestPanic {
  const detail = `the byte at ${hex(offset)}, which no page's ledger word uses, is not zero`;
  return { kind: 'corrupt', address: offset - (offset % PAGE_BYTES), detail };
}

/** The ledger as a whole does not account for the writes that a vCPU made: writes were lost without a trace. */
export function diagnoseSum(vcpu: number, writes: number, sum: number): GuestPanic {
  const detail = `vCPU ${vcpu} made ${writes} writes, but the ledger of its pages accounts for ${sum}`;
  return { kind: sum < writes ? 'lost' : 'corrupt', address: null, detail };
}

/** @returns null if the page does not begin like a written page. */
function readHeader(bytes: Uint8Array): Header | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getBigUint64(0, true) !== GUEST_PAGE.magic) return null;
  const page = Number(view.getBigUint64(GUEST_PAGE.pageOffset, true));
  const seq = Number(view.getBigUint64(GUEST_PAGE.seqOffset, true));
  const vcpu = Number(view.getBigUint64(GUEST_PAGE.vcpuOffset, true));
  const checksum = view.getBigUint64(GUEST_PAGE.checksumOffset, true);
  return { page, seq, vcpu, isWhole: checksum === referenceChecksum(bytes, { page, seq, vcpu }) };
}

function firstDifference(bytes: Uint8Array, expected: Uint8Array): string {
  const offset = bytes.findIndex((byte, at) => byte !== expected[at]);
  if (offset < 0) return 'which looks right when read again';
  return `differs from byte ${offset} on: expected ${hex(expected[offset] ?? 0)}, found ${hex(bytes[offset] ?? 0)}`;
}

function isSame(bytes: Uint8Array, expected: Uint8Array): boolean {
  return bytes.every((byte, at) => byte === expected[at]);
}

function ledgerAddress(map: GuestMap, page: number): number {
  return map.ledgerPageOf(page) * PAGE_BYTES;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
