import type { Domain } from '../domain/domain.ts';

/** Whether the service can do its work. A guest that panicked is named, and keeps nobody from asking the service. */
export function readinessOf(domain: Domain, { data, isDraining }: { data: string; isDraining: boolean }) {
  const service = isDraining ? 'shutting down' : 'ok';
  return { ready: data === 'ok' && !isDraining, checks: { data, service, guest: guestOf(domain) } };
}

function guestOf({ machine }: Domain): string {
  const panic = machine.info().guest?.panic ?? null;
  const { status } = machine.status();
  if (panic !== null) return `${status}: ${panic.kind}: ${panic.detail}`;
  return status === 'guest-panicked' || status === 'internal-error' ? status : 'ok';
}
