import { PAGE_BYTES } from './layout';

/** True if the page at `address` contains only zeros. Most pages differ within their first bytes. */
// @ts-ignore: decorator
@inline
export function isZeroPage(address: usize): bool {
  const head = v128.or(
    v128.or(v128.load(address), v128.load(address, 16)),
    v128.or(v128.load(address, 32), v128.load(address, 48)),
  );
  if (v128.any_true(head)) return false;
  const end = address + PAGE_BYTES;
  for (let at = address; at < end; at += 128) {
    const low = v128.or(
      v128.or(v128.load(at), v128.load(at, 16)),
      v128.or(v128.load(at, 32), v128.load(at, 48)),
    );
    const high = v128.or(
      v128.or(v128.load(at, 64), v128.load(at, 80)),
      v128.or(v128.load(at, 96), v128.load(at, 112)),
    );
    if (v128.any_true(v128.or(low, high))) return false;
  }
  return true;
}
