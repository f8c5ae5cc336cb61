/** The sequence number in the ledger word at `address`, exact below 2^53. */
export function guestLedgerLoad(address: usize): f64 {
  return <f64>load<u64>(address);
}

export function guestLedgerStore(address: usize, seq: f64): void {
  store<u64>(address, <u64>seq);
}

/** Sum of `count` ledger words from `address` on, `stride` words apart. */
export function guestLedgerSum(address: usize, stride: u32, count: u32): f64 {
  let sum: u64 = 0;
  let at = address;
  const step = <usize>stride << 3;
  for (let i: u32 = 0; i < count; i++) {
    sum += load<u64>(at);
    at += step;
  }
  return <f64>sum;
}

/** Sets bit `index` of the dirty log at `log`. Full barrier: a thread that reads the bit also sees all earlier writes. */
export function guestMarkDirty(log: usize, index: u32): void {
  atomic.or<u64>(log + ((<usize>index >> 6) << 3), (<u64>1) << (index & 63));
}
