import { expect, it } from 'vitest';
import { decodeDeviceStream, encodeDeviceStream } from '../../../src/engine/stream/device-stream.ts';
import { nextPanic, startGuest, untilTicks, untilWritten } from '../guest-bench.ts';

it('a guest continues from its own device state, and detects memory of another time', async () => {
  const guest = startGuest({ vcpus: 2 });
  await untilTicks(guest, 2);
  await guest.hold('operator');
  const before = guest.describe().guest!;
  const { bytes } = encodeDeviceStream(guest.transferSource());
  guest.adopt(decodeDeviceStream(bytes, guest.transferSource()));
  expect(guest.describe().guest).toEqual(before);
  guest.release('operator');
  await untilTicks(guest, before.ticks + 2);
  await untilWritten(guest, before.pagesWritten + 100);
  expect(guest.describe().guest!.panic).toBeNull();

  await guest.hold('operator');
  guest.adopt(decodeDeviceStream(bytes, guest.transferSource()));
  const panic = nextPanic(guest);
  guest.release('operator');
  await panic;
  expect(guest.describe().guest!.panic).not.toBeNull();
});

it('an invalid device state is refused without a change', async () => {
  const guest = startGuest({ vcpus: 1 });
  await guest.hold('operator');
  const { bytes } = encodeDeviceStream(guest.transferSource());
  const broken = Buffer.from(bytes);
  broken.fill(0xff, broken.indexOf('ferry-vcpu') + 18, broken.indexOf('ferry-vcpu') + 26);
  const before = guest.describe().guest;
  expect(() => guest.adopt(decodeDeviceStream(broken, guest.transferSource()))).toThrow(/writes of ferry-vcpu 0/);
  expect(guest.describe().guest).toEqual(before);
});
