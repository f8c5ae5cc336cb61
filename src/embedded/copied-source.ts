import type { TransferSource } from '../engine/memory/machine-state.ts';

/**
 * A source with copies of its devices: the workload may change on this thread while the guest stands still, and the other
 * thread must not read half of that change.
 */
export function copiedSource(source: TransferSource): TransferSource {
  if (source.state.form !== 'devices') return source;
  const devices = source.state.devices.map((device) => ({ ...device, body: copyOf(device.body) }));
  return { ...source, state: { form: 'devices', devices } };
}

function copyOf(body: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(body.length));
  copy.set(body);
  return copy;
}
