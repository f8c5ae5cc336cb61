import { DomainError, type Violation } from '../errors.ts';
import type { MachineDescription } from '../ports/hypervisor.ts';

/** Most bytes that a guest may be asked to dirty in a second; far above what any can do. */
const RATE_MAX = 2 ** 40;

/**
 * Checks the numbers of a change of the workload against their bounds, whatever their type.
 * @throws DomainError with every violation.
 */
export function checkWorkload(
  change: { readonly rate?: unknown; readonly span?: unknown },
  { ramBlocks }: Pick<MachineDescription, 'ramBlocks'>,
): void {
  const ramBytes =
    ramBlocks.length === 0 ? Number.POSITIVE_INFINITY : ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const violations = [
    ...outside('rate', change.rate, { max: RATE_MAX, unit: 'bytes/s' }),
    ...outside('span', change.span, { max: ramBytes, unit: 'bytes, the RAM' }),
  ];
  if (violations.length === 0) return;
  throw new DomainError('value_out_of_range', violations.map(({ reason }) => reason).join(' '), { violations });
}

function outside(
  name: 'rate' | 'span',
  value: unknown,
  { max, unit }: { readonly max: number; readonly unit: string },
): readonly Violation[] {
  if (typeof value !== 'number' && typeof value !== 'bigint') return [];
  if (value >= 0 && value <= max) return [];
  return [{ pointer: `/${name}`, reason: `${name} is ${value}; it may be from 0 to ${max} ${unit}.` }];
}
