/** An integer in the form that the commands take: a bigint only where a number would round. */
export function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
