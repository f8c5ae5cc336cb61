import { GuestFault } from './diagnosis.ts';
import { DISK_BLOCK_BYTES, type DiskBlockContent } from './disk-block.ts';

/** What a block of the guest's disk must hold. */
export type ExpectedBlock = {
  readonly block: number;
  /** 0: it was never written; null: any write of its own. */
  readonly sequence: number | null;
  readonly identity: bigint;
  /** For the superblock: boots that it must say; null elsewhere. */
  readonly boots: number | null;
};

/**
 * Holds a block against what it must hold. Throws a GuestFault if they differ:
 *
 * - disk-lost: it was written, but holds zeros;
 * - disk-stale: it is whole, but older than the guest knows: an old disk under newer RAM;
 * - disk-ahead: it is whole, but newer: a newer disk under old RAM;
 * - disk-misplaced: it is whole, but another block;
 * - disk-foreign: it is whole, but of another disk;
 * - disk-torn: a header over a body that is not of that write;
 * - disk-corrupt: anything else.
 */
export function checkDiskBlock(content: DiskBlockContent, expected: ExpectedBlock): void {
  const { block, sequence, identity, boots } = expected;
  const fault = (kind: string, found: string): GuestFault => {
    const wanted = sequence === 0 ? 'that it was never written' : `write ${sequence}`;
    return diskFault(
      kind,
      `${blockName(block)} ${found}${sequence === null ? '' : `; the ledger in RAM says ${wanted}`}`,
    );
  };
  if (content.kind === 'zero') {
    if (sequence === 0) return;
    throw fault('disk-lost', 'holds zeros');
  }
  if (content.kind === 'torn') throw fault('disk-torn', 'has a checksum that does not fit');
  if (content.kind === 'strange') throw fault('disk-corrupt', 'holds nothing that a guest writes');
  const found = `holds write ${content.sequence}`;
  if (content.identity !== identity) {
    throw fault('disk-foreign', `${found} of disk ${hex(content.identity)}, not of disk ${hex(identity)}`);
  }
  if (content.block !== block) throw fault('disk-misplaced', `${found} of block ${content.block}`);
  if (sequence === null) return;
  if (content.sequence < sequence) throw fault('disk-stale', found);
  if (content.sequence > sequence) throw fault('disk-ahead', found);
  if (boots === null || content.boots === boots) return;
  const isOld = content.boots < boots;
  throw diskFault(
    isOld ? 'disk-stale' : 'disk-ahead',
    `the disk was booted ${content.boots} times, not ${boots} times`,
  );
}

export function diskFault(kind: string, detail: string): GuestFault {
  return new GuestFault({ kind, address: null, detail });
}

export function blockName(block: number): string {
  const name = block === 0 ? 'the superblock' : `block ${block}`;
  return `${name} of the guest disk (offset ${block * DISK_BLOCK_BYTES})`;
}

export function hex(identity: bigint): string {
  return identity.toString(16).padStart(16, '0');
}
