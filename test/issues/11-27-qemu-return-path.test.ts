// A QEMU target uses the return path independent of its own capability, so a source may open it by default. Otherwise
// a migration with default settings would end with an unknown owner after the handover deadline.

import { afterAll, expect, test } from 'vitest';
import { combinations } from '../helpers/combinations.ts';
import { qemu11Binary, qemu72Binary, qemuBinary } from '../helpers/qemu/binaries.ts';
import { startImage, startTarget } from '../helpers/qemu/journey.ts';
import { describeWithQemu, SMALL_GUEST, SMALL_GUEST_LAP_TICKS, startQemu } from '../helpers/qemu/qemu.ts';
import { type Service, startService } from '../helpers/service.ts';
import { shared } from '../helpers/shared.ts';

/** Known to all of them. */
const MACHINE = 'pc-i440fx-7.2';
const TARGETS = { '7.2': qemu72Binary(), '10.0': qemuBinary(), '11.1': qemu11Binary() };
/** A QEMU at the other side answers the pings that carry a vmferry's id, and shares none. */
const OTHER_KIND = { 'shared-id': null };
const MISSING = Object.entries(TARGETS).filter(([, binary]) => binary === null);

describeWithQemu('a machine that is sent with default settings', () => {
  const image = shared(async (): Promise<Service> => {
    const { service, uri } = await startImage({ transport: 'tcp' });
    const source = await startQemu({ ...SMALL_GUEST, machine: MACHINE, paused: true });
    expect((await source.migrate(uri)).status).toBe('completed');
    await service.waitForEnd();
    expect((await service.get('/migrations')).json).toMatchObject({ migrations: [OTHER_KIND] });
    return service;
  });

  const there = Object.entries(TARGETS).flatMap(([version, binary]) => (binary === null ? [] : [{ version, binary }]));
  const routes = there.map((target, index) => ({ ...target, transport: (['tcp', 'unix'] as const)[index % 2]! }));

  // Every version is asked once in `npm test`: the two older ones here, the newest one below.
  test.each(combinations(routes, routes.slice(0, 2)))(
    'is confirmed by QEMU $version over $transport, whose return-path is off',
    async (route) => {
      const { binary, transport } = route;
      const { target, uri } = await startTarget({ transport, target: { binary, machine: MACHINE, paused: true } });
      const capabilities = await target.qmp.query('query-migrate-capabilities');
      expect(capabilities).toContainEqual({ capability: 'return-path', state: false });

      expect(await image().send(uri)).toMatchObject({ status: 'completed', guest: 'there', note: null, ...OTHER_KIND });
      expect((await target.waitForMigrationEnd({ from: 0 })).status).toBe('completed');
      await image().post('/cont', undefined);
    },
  );

  test.each(combinations(there, there.slice(-1)))(
    'is refused at once with its type if QEMU $version sends it to another machine type, with and without a return path',
    async ({ binary }) => {
      // Slow, so that QEMU does not complete before it sees the refusal: without a return path it needs no answer.
      const parameters = { 'max-bandwidth': 64 * 1024 };
      const source = await startQemu({ ...SMALL_GUEST, binary, machine: MACHINE, parameters });
      for (const hasReturnPath of [false, true]) {
        await source.setCapabilities(['return-path'], hasReturnPath);
        const target = await startService(['--ram', '8M', '--incoming', 'tcp:127.0.0.1:0']);
        await source.migrate(await target.listeningUri());
        await target.waitForEnd();
        const error = { code: 'machine_differs', desc: expect.stringContaining('--machine image') };
        expect((await target.get('/migrations')).json).toMatchObject({
          migrations: [{ status: 'failed', error, ...OTHER_KIND }],
        });
        expect(await source.runState()).toBe('running');
      }
      await source.waitForTicks(SMALL_GUEST_LAP_TICKS);
    },
  );
});

afterAll(() => {
  for (const [version] of MISSING) process.stderr.write(`NOTICE: QEMU ${version} is missing and was not asked.\n`);
});
