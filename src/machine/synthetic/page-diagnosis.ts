import type { GuestPanic } from '../../domain/ports/hypervisor.ts';
import { referenceChecksum, referenceFill, referencePage } from '../../engine/kernels/guest-reference.ts';
import { GUEST_PAGE, GUEST_STYLE, type GuestStyle } from '../../engine/kernels/kernels.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestIdentity, GuestMap } from './guest-map.ts';

/** Stops a vCPU: RAM, ledger or disk do not have the content that the guest wrote. */
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
  /** Number of writes of the page, from the ledger. */
  readonly seq: number;
  /** Number of all writes of the page's owner. */
  readonly writes: number;
  readonly bytes: Uint8Array;
  readonly map: GuestMap;
  readonly identity: GuestIdentity;
  /** Content of the page before its first write; null: zeros. */
  readonly style: GuestStyle | null;
};

type Header = { readonly page: number; readonly seq: number; readonly vcpu: number; readonly isWhole: boolean };

/**
 * Describes the fault of a data page that does not match its ledger entry:
 *
 * - misplaced: a valid write of another page;
 * - stale: a valid write, but older than the ledger entry, or newer than it;
 * - lost: a written page with its content from before the first write, or zeros instead of content;
 * - torn: the header of the expected write with another body;
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

/** Describes the fault of page 0, which never changes. */
export function diagnoseBoot(bytes: Uint8Array, expected: Uint8Array): GuestPanic {
  const header = readHeader(bytes);
  if (header?.isWhole) {
    return { kind: 'misplaced', address: 0, detail: `the boot page holds write ${header.seq} of page ${header.page}` };
  }
  if (bytes.every((byte) => byte === 0)) return { kind: 'lost', address: 0, detail: 'the boot page is all zeros' };
  return { kind: 'corrupt', address: 0, detail: `the boot page, ${firstDifference(bytes, expected)}` };
}

/** @param offset offset in RAM of the first byte of the unused ledger that is not zero. */
export function diagnoseLedger(offset: number): GuestPanic {
  const detail = `the byte at ${hex(offset)}, which no page's ledger word uses, is not zero`;
  return { kind: 'corrupt', address: offset - (offset % PAGE_BYTES), detail };
}

/** Describes a ledger whose sum is not the number of a vCPU's writes: complete pages of writes were lost. */
export function diagnoseSum(vcpu: number, writes: number, sum: number): GuestPanic {
  const detail = `vCPU ${vcpu} made ${writes} writes, but the ledger of its pages accounts for ${sum}`;
  return { kind: sum < writes ? 'lost' : 'corrupt', address: null, detail };
}

/** @returns null if the page does not begin with the magic of a written page. */
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
