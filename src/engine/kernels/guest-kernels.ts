/** The kernels of the synthetic guest; see kernels/assembly/guest-*.ts. Addresses count from the start of the memory. */
export type GuestKernels = {
  guestFillWrite(address: number, page: number, seed: number, style: number): void;
  guestFillMatches(address: number, page: number, seed: number, style: number): number;
  guestIsZero(address: number, bytes: number): number;
  guestPageWrite(address: number, page: number, seq: number, vcpu: number, seed: number, style: number): void;
  guestPageMatches(address: number, page: number, seq: number, vcpu: number, seed: number, style: number): number;
  guestLedgerLoad(address: number): number;
  guestLedgerStore(address: number, seq: number): void;
  guestLedgerSum(address: number, stride: number, count: number): number;
  guestMarkDirty(log: number, index: number): void;
};

/** What a guest page's bytes look like: noise that nothing compresses, or letters that compress well. */
export const GUEST_STYLE = { random: 1, text: 2 } as const;
export type GuestStyle = (typeof GUEST_STYLE)[keyof typeof GUEST_STYLE];

/** Where a written page keeps what; the layout is drawn in kernels/assembly/guest-page.ts. */
export const GUEST_PAGE = {
  magic: 0x59_52_52_45_46_47_41_50n,
  pageOffset: 8,
  seqOffset: 16,
  vcpuOffset: 24,
  checksumOffset: 32,
  bodyOffset: 64,
} as const;
