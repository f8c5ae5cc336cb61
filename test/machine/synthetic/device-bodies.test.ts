import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONSOLE_FIELDS, ConsoleRing, createDevice, DeviceBody } from '../../../src/machine/synthetic/device-bodies.ts';
import { bodyOf, createGuestDevices, deviceList, PanicRecord } from '../../../src/machine/synthetic/guest-devices.ts';

const FIELDS = [
  { name: 'byte', type: 'uint8', bytes: 1 },
  { name: 'long', type: 'uint64', bytes: 8 },
  { name: 'word', type: 'uint32', bytes: 4 },
  { name: 'rest', type: 'buffer', bytes: 3 },
] as const;

describe('the body of a device', () => {
  it('holds its fields in order, big-endian', () => {
    const device = createDevice('d', 0, FIELDS);
    const body = new DeviceBody(device, device.body);
    body.write('byte', 1);
    body.write('long', 0x1_0000_0002);
    body.write('word', 0xfffefdfc);
    body.buffer('rest').set([7, 8, 9]);
    expect([...device.body]).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0xfd, 0xfc, 7, 8, 9]);
  });

  it('reads every integer below 2^53 as it was written, and refuses other integers', () => {
    const device = createDevice('d', 3, FIELDS);
    const body = new DeviceBody(device, device.body);
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        body.write('long', value);
        expect(body.read('long')).toBe(value);
      }),
    );
    device.body.set([0, 0, 0x20, 0, 0, 0, 0, 0, 0], 0);
    expect(() => body.read('long')).toThrow('long of d 3 is 9007199254740992, which is 2^53 or more');
  });

  it('is refused with another length', () => {
    const device = createDevice('d', 0, FIELDS);
    expect(() => new DeviceBody(device, new Uint8Array(15))).toThrow('d 0 has 15 bytes of state instead of 16');
  });

  it('has exactly the length of its fields for each device of the guest, and is in shared memory', () => {
    for (const { fields, body } of deviceList(createGuestDevices(2, new PanicRecord().device))) {
      expect(body.byteLength).toBe(fields.reduce((sum, field) => sum + field.bytes, 0));
      expect(body.buffer).toBeInstanceOf(SharedArrayBuffer);
      for (const field of fields) {
        const bytes = { uint8: 1, uint16: 2, uint32: 4, uint64: 8, int64: 8, buffer: field.bytes }[field.type];
        expect(field.bytes).toBe(bytes);
      }
    }
  });

  it('belongs to a device with a unique name', () => {
    const names = deviceList(createGuestDevices(3, new PanicRecord().device)).map(
      ({ idstr, instanceId }) => `${idstr} ${instanceId}`,
    );
    expect(names).toEqual([
      'ferry-workload 0',
      'ferry-timer 0',
      'ferry-console 0',
      'ferry-disk 0',
      'ferry-panic 0',
      'ferry-vcpu 0',
      'ferry-vcpu 1',
      'ferry-vcpu 2',
    ]);
  });
});

describe('the console', () => {
  it('shows the newest 4096 bytes of its output', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[ -~]{0,900}$/), { maxLength: 20 }), (lines) => {
        const body = bodyOf(createDevice('ferry-console', 0, CONSOLE_FIELDS));
        const console = new ConsoleRing(body);
        for (const line of lines) console.print(line);
        expect(console.text()).toBe(lines.join('').slice(-4096));
        // Another reader of the same body, as on another thread or after a migration, sees the same.
        expect(new ConsoleRing(body).text()).toBe(console.text());
      }),
    );
  });
});
