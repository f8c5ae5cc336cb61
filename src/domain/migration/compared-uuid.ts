import type { Context } from '../context.ts';

/**
 * The uuid that a migration sends, or holds a stream against; null if nobody has chosen one. A uuid that was made at the
 * first start is different on each side and says nothing, so it is no reason to refuse a guest.
 */
export function comparedUuid({ identity }: Context): string | null {
  return identity.isUuidSet ? identity.uuid : null;
}
