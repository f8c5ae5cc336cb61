// Migrations of a QEMU's machine through an image: between all versions, over all transports, with and without a
// return path.

import { describe, it } from 'vitest';
import { travels } from '../helpers/qemu/journey.ts';
import { describeWithQemu, describeWithQemu72 } from '../helpers/qemu/qemu.ts';

const MACHINE = 'pc-i440fx-7.2';
const WAYS = (['tcp', 'unix'] as const).flatMap((transport) =>
  [[], ['return-path']].map((capabilities) => ({ transport, capabilities })),
);
/** The guest as it is by default: 16 MiB of ring in 32 MiB. */
const LARGE = { ramMebibytes: 32, guest: {} } as const;

describeWithQemu('a machine of QEMU 10.0', () => {
  it.each(WAYS)('passes through an image over $transport with $capabilities', async (way) => {
    await travels({ ...way, source: LARGE, target: LARGE });
  });
});

describeWithQemu72('a machine', (binary) => {
  const [old, recent] = [
    { ...LARGE, binary, machine: MACHINE },
    { ...LARGE, machine: MACHINE },
  ];
  describe.each([
    { from: '7.2', to: '7.2', source: old, target: old, stopsFirst: true },
    { from: '7.2', to: '10.0', source: old, target: recent, stopsFirst: true },
    { from: '10.0', to: '7.2', source: recent, target: old, stopsFirst: false },
  ])('of QEMU $from', ({ to, ...ends }) => {
    it.each(WAYS)(`passes into QEMU ${to} over $transport with $capabilities`, async (way) => {
      await travels({ ...way, ...ends });
    });
  });
});
