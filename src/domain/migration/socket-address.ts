import type { MigrationAddress } from '../ports/migration-session.ts';

/** Where a listener is, as query-migrate shows it: SocketAddress of the QAPI schema. */
export type SocketAddress =
  | {
      readonly type: 'inet';
      readonly host: string;
      readonly port: string;
      readonly ipv4?: boolean;
      readonly ipv6?: boolean;
    }
  | { readonly type: 'unix'; readonly path: string };

/** Every address that is listened on; null for what is no socket. */
export function socketAddressOf(address: MigrationAddress): readonly SocketAddress[] | null {
  if (address.transport === 'unix') return [{ type: 'unix', path: address.path }];
  if (address.transport !== 'tcp') return null;
  if (address.bound === undefined) return [{ type: 'inet', host: address.host, port: String(address.port) }];
  return address.bound.map(({ host, port }) => {
    const family = host.includes(':') ? { ipv6: true } : { ipv4: true };
    return { type: 'inet' as const, host, port: String(port), ...family };
  });
}
