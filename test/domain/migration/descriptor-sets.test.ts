import { describe, expect, it } from 'vitest';
import { readAddress } from '../../../src/domain/migration/channels.ts';
import { FdSets, SET_DESCRIPTORS_MAX } from '../../../src/domain/migration/client-descriptors.ts';
import type { MigrationAddress } from '../../../src/domain/ports/migration-session.ts';
import type { DescriptorAccess } from '../../../src/domain/ports/process.ts';
import { refusalOf } from '../fakes/refusal.ts';

/** Sets over descriptors that are numbers only. A duplicate has a number 1000 higher. */
function makeSets() {
  const closed: number[] = [];
  const accesses = new Map<number, DescriptorAccess>();
  const sets = new FdSets({
    close: (fd) => void closed.push(fd),
    duplicate: (fd) => fd + 1000,
    accessOf: (fd) => accesses.get(fd) ?? 'unknown',
  });
  const add = (descriptor: number | null, id?: number | bigint, opaque?: string) =>
    sets.add({ descriptor, id, opaque });
  const addAs = (access: DescriptorAccess, fd: number, id: number) => {
    accesses.set(fd, access);
    add(fd, id);
  };
  const rules = { fileRoot: '/data/files', allowExec: false, fds: new Map(), fdSets: sets };
  const address = (text: string, use: 'connect' | 'listen' = 'connect') =>
    readAddress({ uri: `file:/dev/fdset/${text}` }, use, rules);
  return { sets, closed, add, addAs, address };
}

describe('sets of descriptors', () => {
  it('a descriptor without a set gets the lowest unused number', () => {
    const { sets, add } = makeSets();
    add(10);
    add(11);
    add(12, 5);
    add(13, 5, 'five');
    add(14, 2n ** 63n - 1n);
    sets.remove(0, undefined);

    expect(add(15)).toEqual({ id: 0n, fd: 15 });
    expect(add(16)).toEqual({ id: 2n, fd: 16 });
    expect(sets.list()).toEqual([
      { id: 2n ** 63n - 1n, members: [{ fd: 14 }] },
      { id: 5n, members: [{ fd: 12 }, { fd: 13, opaque: 'five' }] },
      { id: 2n, members: [{ fd: 16 }] },
      { id: 1n, members: [{ fd: 11 }] },
      { id: 0n, members: [{ fd: 15 }] },
    ]);
  });

  it('a negative number of a set is refused, and the descriptor of the message is closed', () => {
    const { sets, closed, add } = makeSets();

    expect(refusalOf(() => add(10, -1))).toMatchObject({
      code: 'value_out_of_range',
      message: 'fdset-id is -1; 0 to 9223372036854775807 are allowed.',
    });
    expect(closed).toEqual([10]);
    expect(sets.list()).toEqual([]);
  });

  it('a missing descriptor is refused before other checks', () => {
    const { add } = makeSets();

    expect(refusalOf(() => add(null, -1))?.code).toBe('descriptor_not_received');
  });

  it('a descriptor beyond the limit is refused and closed', () => {
    const { closed, add } = makeSets();
    for (let fd = 0; fd < SET_DESCRIPTORS_MAX; fd++) add(fd, fd % 3);

    expect(refusalOf(() => add(9999, 1))?.code).toBe('too_many_descriptors');
    expect(closed).toEqual([9999]);
  });

  it('a set is removed with its last descriptor, by single removals or all at once', () => {
    const { sets, closed, add } = makeSets();
    for (const [fd, id] of [
      [10, 0],
      [11, 0],
      [12, 1],
      [13, 1],
    ] as const) {
      add(fd, id);
    }
    sets.remove(0, 10);
    sets.remove(0n, 11n);
    sets.remove(1, undefined);

    expect(sets.list()).toEqual([]);
    expect(closed).toEqual([10, 11, 12, 13]);
  });

  it.each([
    [9, undefined, "There is no descriptor 'fdset-id:9'; there are the sets 0, 5."],
    [9, 3, "There is no descriptor 'fdset-id:9, fd:3'; there are the sets 0, 5."],
    [5, 3, "There is no descriptor 'fdset-id:5, fd:3'; set 5 has 11, 12."],
    [-4, undefined, "There is no descriptor 'fdset-id:-4'; there are the sets 0, 5."],
  ])('an unknown descriptor to remove is named in the error: set %s, descriptor %s', (id, fd, message) => {
    const { sets, closed, add } = makeSets();
    add(10);
    add(11, 5);
    add(12, 5);

    expect(refusalOf(() => sets.remove(id, fd))).toMatchObject({ code: 'descriptor_not_found', message });
    expect(closed).toEqual([]);
  });
});

describe('addresses of sets', () => {
  it('the newest descriptor of the set with exactly the access mode of the migration is used', () => {
    const { addAs, address } = makeSets();
    for (const [index, access] of (['write', 'read', 'write', 'read', 'both', 'append'] as const).entries())
      addAs(access, 10 + index, 3);

    const path = '/dev/fdset/3';
    expect(address('3')).toEqual({ transport: 'file', path, offset: 0, descriptor: 12 });
    expect(address('3,offset=4k', 'listen')).toEqual({ transport: 'file', path, offset: 4096, descriptor: 13 });
    expect(address('0003')).toMatchObject({ descriptor: 12 });
  });

  it('a set without such a descriptor is refused, and the error names the modes that it has', () => {
    const { addAs, address } = makeSets();
    addAs('read', 10, 3);
    addAs('both', 11, 3);
    addAs('append', 12, 3);

    const refusal = refusalOf(() => address('3'));
    expect(refusal?.code).toBe('invalid_address');
    expect(refusal?.message).toBe(
      'file "/dev/fdset/3": the set has no descriptor that is open for writing only; it has 10 (reading only), ' +
        '11 (reading and writing), 12 (appending).',
    );
  });

  it.each(['42', 'abc', '', '1x', '-1', '3/', '9223372036854775808'])('file:/dev/fdset/%s is refused', (text) => {
    const { addAs, address } = makeSets();
    addAs('write', 10, 3);

    const refusal = refusalOf(() => address(text));
    expect(refusal?.code).toBe('invalid_address');
    expect(refusal?.message).toMatch(/there are the sets 3\.$|the number of a set, from 0 to 9223372036854775807\.$/);
  });

  it('the address as an object also refers to the set', () => {
    const { sets, addAs } = makeSets();
    addAs('write', 10, 3);
    const rules = { fileRoot: '/data/files', allowExec: false, fds: new Map(), fdSets: sets };
    const addr = { transport: 'file', filename: '/dev/fdset/3', offset: 512 };

    expect(readAddress({ channels: [{ 'channel-type': 'main', addr }] }, 'connect', rules)).toMatchObject({
      descriptor: 10,
      offset: 512,
    });
  });

  it('a set whose descriptor was removed stays while a migration uses its duplicate', () => {
    const { sets, closed, addAs, add, address } = makeSets();
    addAs('write', 10, 3);
    const lent = sets.lend(address('3'), (given) => given);
    expect(lent.address).toMatchObject({ descriptor: 1010 });

    sets.remove(3, undefined);
    sets.remove(3, undefined);
    expect(closed).toEqual([10]);
    expect(sets.list()).toEqual([{ id: 3n, members: [] }]);
    expect(refusalOf(() => sets.remove(3, 10))?.message).toContain("'fdset-id:3, fd:10'; set 3 has none");
    lent.release();
    expect(closed).toEqual([10, 1010]);
    expect(sets.list()).toEqual([]);
    expect(add(11)).toEqual({ id: 0n, fd: 11 });
  });

  it('a descriptor that is added during a migration keeps the set after the duplicate is closed', () => {
    const { sets, addAs, add, address } = makeSets();
    addAs('write', 10, 3);
    const lent = sets.lend(address('3'), (given) => given);
    sets.remove(3, undefined);
    add(11, 3);
    lent.release();

    expect(sets.list()).toEqual([{ id: 3n, members: [{ fd: 11 }] }]);
  });

  it('the duplicate is closed if the migration cannot be started', () => {
    const { sets, closed, addAs, address } = makeSets();
    addAs('write', 10, 3);
    const start = () => {
      throw new Error('no thread');
    };

    expect(() => sets.lend(address('3'), start)).toThrow('no thread');
    expect(closed).toEqual([1010]);
    expect(sets.list()).toEqual([{ id: 3n, members: [{ fd: 10 }] }]);
  });

  it('an address that names no set is unchanged', () => {
    const { sets, closed } = makeSets();
    const address: MigrationAddress = { transport: 'file', path: 'a', offset: 0 };

    expect(
      sets.lend(address, (lent) => {
        lent.release();
        return lent.address;
      }),
    ).toBe(address);
    expect(closed).toEqual([]);
  });
});
