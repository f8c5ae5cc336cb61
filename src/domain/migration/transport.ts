import { DomainError } from '../errors.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import type { Settings } from '../settings/settings.ts';

/**
 * Refuses an address whose transport cannot carry what the capabilities ask for: several channels, or a file in which
 * pages have places.
 */
export function refuseUnsuitableTransport(address: MigrationAddress, settings: Settings): void {
  const { transport } = address;
  const isFile = transport === 'file';
  const needsChannels = settings.has('multifd') || settings.has('postcopy-preempt');
  const hasChannels = transport === 'tcp' || transport === 'unix' || (isFile && settings.has('mapped-ram'));
  if (needsChannels && !hasChannels) {
    throw unsuitable(`${transport}: has one channel only; multifd and postcopy-preempt need tcp: or unix:.`);
  }
  if (settings.has('mapped-ram') && !isFile && transport !== 'fd') {
    throw unsuitable(`${transport}: cannot be written at chosen places; mapped-ram needs file:.`);
  }
}

function unsuitable(detail: string): DomainError {
  return new DomainError('transport_unsuitable', detail, { violations: [{ pointer: '', reason: detail }] });
}
