import { describe, expect, it } from 'vitest';
import { DISK_DATA_BYTES, type DiskRequest, DiskSlot } from '../../../src/engine/memory/disk-slot.ts';

const READ: DiskRequest = { operation: 'read', offset: 2 ** 40 + 4096, bytes: DISK_DATA_BYTES };

/** Two ends of one slot, as two threads have them. */
function ends(): { guest: DiskSlot; server: DiskSlot } {
  const guest = new DiskSlot();
  return { guest, server: new DiskSlot(guest.buffer) };
}

describe('a disk slot', () => {
  it.each<DiskRequest>([
    READ,
    { operation: 'write', offset: 0, bytes: 4096 },
    { operation: 'flush', offset: 0, bytes: 0 },
  ])('carries %o to the server and its answer back', (request) => {
    const { guest, server } = ends();
    expect(server.request()).toBeNull();
    guest.data.fill(3);
    guest.submit(request);
    expect(guest.take()).toBeNull();
    expect(server.request()).toEqual(request);
    expect(server.data[DISK_DATA_BYTES - 1]).toBe(3);
    server.data.fill(4);
    server.complete();
    expect(server.request()).toBeNull();
    expect(guest.take()).toEqual({ error: null });
    expect(guest.data[0]).toBe(4);
    expect([guest.take(), guest.state]).toEqual([null, 'idle']);
  });

  it('carries the reason of a failed request back, and cuts a long one', () => {
    const { guest, server } = ends();
    guest.submit(READ);
    server.fail('kein Platz: ü');
    expect(guest.take()).toEqual({ error: 'kein Platz: ü' });
    guest.submit(READ);
    server.fail('ü'.repeat(400));
    expect(guest.take()).toEqual({ error: 'ü'.repeat(256) });
  });

  it('keeps a request that failed for lack of space, so that it can be repeated', () => {
    const { guest, server } = ends();
    guest.data.fill(7);
    guest.submit(READ);
    expect(() => guest.retry()).toThrow(/is submitted; it must be full/);
    server.refuse();
    expect([server.request(), guest.take(), guest.state]).toEqual([null, null, 'full']);
    guest.retry();
    expect(server.request()).toEqual(READ);
    expect(server.data[0]).toBe(7);
    server.refuse();
    guest.reset();
    expect(guest.state).toBe('idle');
  });

  it('belongs to one side at a time', () => {
    const { guest, server } = ends();
    expect(() => server.complete()).toThrow(/is idle; it must be submitted/);
    expect(() => server.fail('no')).toThrow(/is idle; it must be submitted/);
    guest.submit(READ);
    expect(() => guest.submit(READ)).toThrow(/is submitted; it must be idle/);
    expect(() => guest.reset()).toThrow(/in flight/);
    server.complete();
    expect(() => server.fail('late')).toThrow(/is done; it must be submitted/);
    expect(() => guest.submit(READ)).toThrow(/is done; it must be idle/);
    guest.reset();
    expect([guest.take(), guest.state]).toEqual([null, 'idle']);
  });

  it('accepts no more data than its data area holds', () => {
    const { guest } = ends();
    expect(() => guest.submit({ ...READ, bytes: DISK_DATA_BYTES + 1 })).toThrow(/65537 bytes does not fit/);
    expect(guest.state).toBe('idle');
  });
});
