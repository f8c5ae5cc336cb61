import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMap } from './guest-map.ts';
import { GUEST_FILLS, type GuestFill } from './workload.ts';

const MAGIC = 0x766d_6665_7272_7931n;

/** What a guest was started with; all of its RAM that was never written follows from it. */
export type GuestIdentity = { readonly seed: number; readonly fill: GuestFill };

/**
 * Page 0 of a guest, little-endian: magic u64, RAM in bytes u64, vCPUs u32, number of the fill u32, seed u32, then
 * zeros. It never changes, so a guest that finds another one there is not itself.
 */
export function bootPage(map: GuestMap, identity: GuestIdentity): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setBigUint64(8, BigInt(map.pages * PAGE_BYTES), true);
  view.setUint32(16, map.vcpus, true);
  view.setUint32(20, GUEST_FILLS.indexOf(identity.fill) + 1, true);
  view.setUint32(24, identity.seed, true);
  return page;
}
