// A service generated a uuid at its first start, and `validate-uuid` compared it like a configured one. Two services
// without `--uuid` could never migrate with that capability, while QEMU compares only configured uuids.
// QEMU scenarios: /migration/validate_uuid, /migration/validate_uuid_error, /migration/validate_uuid_src_not_set,
// /migration/validate_uuid_dst_not_set

import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';

const [ONE, OTHER] = ['11111111-2222-4333-8444-555555555555', '99999999-2222-4333-8444-555555555555'];
const CHECK = ['--enable', 'validate-uuid', '--enable', 'pause-before-switchover'];

function uuid(value: string | null): readonly string[] {
  return value === null ? [] : ['--uuid', value];
}

async function migrated(source: string | null, target: string | null) {
  const there = await localService([...CHECK, ...uuid(target), '--incoming', 'tcp:127.0.0.1:0']);
  const here = await localService([...CHECK, ...uuid(source)]);
  const id = await here.start(await there.incomingUri());
  const { status } = await here.until((info) => ['pre-switchover', 'failed'].includes(info.status ?? ''));
  if (status === 'pre-switchover') await here.post('/migrate/continue', { state: 'pre-switchover' });
  await here.ended();
  return { here: await here.row(id), there: await there.ended() };
}

describe('with validate-uuid, a guest', () => {
  const taken = [
    ['of a source without a uuid', null, ONE],
    ['of a source with a uuid, for a target without one', ONE, null],
    ['of the same uuid', ONE, ONE],
    ['of a source without a uuid, for a target without one', null, null],
  ] as const;

  it.each(combinations(taken, taken.slice(0, 2)))('%s is accepted', async (_, source, target) => {
    const { here, there } = await migrated(source, target);
    expect([here.status, there.status]).toEqual(['completed', 'completed']);
  });

  it('with another uuid is refused with both uuids in the error, and keeps running at its source', async () => {
    const { here, there } = await migrated(ONE, OTHER);
    expect([here.status, here.guest]).toEqual(['failed', 'here']);
    expect(there.error).toMatchObject({ code: 'uuid_differs', desc: expect.stringMatching(`${ONE}.*${OTHER}`) });
  });

  it('keeps a uuid that was set at an earlier start', async () => {
    const data = temporaryDirectory();
    const first = await localService(['--uuid', ONE], { data });
    await first.app.close();
    const there = await localService([...CHECK, '--uuid', OTHER, '--incoming', 'tcp:127.0.0.1:0']);
    const here = await localService(CHECK, { data });
    expect((await here.migrate(await there.incomingUri())).status).toBe('failed');
    expect((await there.ended()).error?.code).toBe('uuid_differs');
  });
});
