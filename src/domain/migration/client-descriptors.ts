import { DomainError } from '../errors.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import type { DescriptorAccess, DescriptorCalls } from '../ports/process.ts';
import { shown } from '../settings/violations.ts';
import { invalid } from './address-options.ts';

/** Descriptors that clients passed, for `fd:NAME` addresses. A migration that uses one removes it. */
export interface DescriptorUseCases {
  /**
   * Keeps a descriptor, which the service owns from now on, and replaces one of that name. `descriptor` is null if none
   * came.
   * @throws DomainError; then the descriptor is closed.
   */
  keep(name: string, descriptor: number | null): void;
  /** Closes the descriptor. @throws DomainError if there is none of that name. */
  drop(name: string): void;
  /** Closes all descriptors that clients passed and no migration has used. */
  closeAll(): void;
}

/** Largest number of names, including those of `--fd`. */
export const DESCRIPTORS_MAX = 64;

/** The descriptors, by name, that no migration has used. A used descriptor is closed at the end of its migration. */
export class NamedDescriptors implements DescriptorUseCases {
  readonly #byName: Map<string, number>;
  readonly #close: (descriptor: number) => void;
  readonly #received = new Set<number>();

  /** @param inherited descriptors of `--fd`, which are not closed here. */
  constructor(inherited: ReadonlyMap<string, number>, close: (descriptor: number) => void) {
    this.#byName = new Map(inherited);
    this.#close = close;
  }

  get byName(): ReadonlyMap<string, number> {
    return this.#byName;
  }

  keep(name: string, descriptor: number | null): void {
    if (descriptor === null) {
      const message = 'No descriptor came with the command: it is sent over a unix socket, by SCM_RIGHTS.';
      throw new DomainError('descriptor_not_received', message);
    }
    try {
      refuseName(this.#byName, name);
    } catch (error) {
      this.#close(descriptor);
      throw error;
    }
    const before = this.#byName.get(name);
    this.#byName.set(name, descriptor);
    this.#received.add(descriptor);
    if (before !== undefined) this.#close(before);
  }

  drop(name: string): void {
    const descriptor = this.#byName.get(name);
    if (descriptor === undefined) {
      throw new DomainError('descriptor_not_found', `There is no descriptor named ${shown(name)}.`);
    }
    this.#byName.delete(name);
    this.#close(descriptor);
  }

  closeAll(): void {
    for (const [name, descriptor] of this.#byName) {
      if (!this.#received.has(descriptor)) continue;
      this.#byName.delete(name);
      this.#close(descriptor);
    }
  }

  /** Transfers the descriptor of the address, if it has one, to a migration. */
  giveAway(address: MigrationAddress): void {
    if (address.transport !== 'fd') return;
    for (const [name, descriptor] of this.#byName) if (descriptor === address.fd) this.#byName.delete(name);
  }
}

function refuseName(fds: ReadonlyMap<string, number>, name: string): void {
  if (/^[0-9]/.test(name)) throw invalid('/fdname', `fdname ${shown(name)} begins with a digit.`);
  if (fds.size < DESCRIPTORS_MAX || fds.has(name)) return;
  throw new DomainError('too_many_descriptors', `${DESCRIPTORS_MAX} descriptors are kept already; close one first.`);
}

/*
 * Descriptors that clients passed, in numbered sets, for addresses `file:/dev/fdset/N`. Each migration uses a duplicate
 * of a descriptor, so any number of migrations can use the same one. A set exists as long as it has a descriptor, or a
 * migration uses a duplicate from it. It does not depend on the client that created it.
 */

/** A descriptor in a set. */
export type SetMember = { readonly fd: number; readonly opaque: string | undefined };

/** The descriptor that a client passes. */
export type GivenMember = {
  /** Null if none came. The service owns it from now on. */
  readonly descriptor: number | null;
  /** Absent: the lowest number without a set. */
  readonly id: number | bigint | undefined;
  /** Text that is listed with it and has no effect. */
  readonly opaque: string | undefined;
};

export interface FdSetUseCases {
  /** Adds a descriptor to a set. @throws DomainError; then the descriptor is closed. */
  add(given: GivenMember): { readonly id: bigint; readonly fd: number };
  /** Closes a descriptor of a set, or all of them. @throws DomainError if the set does not have it. */
  remove(id: number | bigint, fd: number | bigint | undefined): void;
  /** Every set, the highest number first; the members in the order of their arrival. */
  list(): readonly { readonly id: bigint; readonly members: readonly SetMember[] }[];
  /** Closes all members. */
  closeAll(): void;
}

/** The address that an engine uses instead of the requested one. */
export type LentAddress = {
  readonly address: MigrationAddress;
  /** Must be called once, when the address is not used any more. */
  readonly release: () => void;
};

type FdSet = { readonly members: SetMember[]; duplicates: number };

/** Largest number of descriptors in all sets together. */
export const SET_DESCRIPTORS_MAX = 256;
const ID_MAX = 2n ** 63n - 1n;
const PREFIX = '/dev/fdset/';

export class FdSets implements FdSetUseCases {
  readonly #calls: DescriptorCalls;
  readonly #sets = new Map<bigint, FdSet>();

  constructor(calls: DescriptorCalls) {
    this.#calls = calls;
  }

  add({ descriptor, id, opaque }: GivenMember): { readonly id: bigint; readonly fd: number } {
    if (descriptor === null) {
      const message = 'No descriptor came with the command: it is sent over a unix socket, by SCM_RIGHTS.';
      throw new DomainError('descriptor_not_received', message);
    }
    try {
      this.#refuse(id);
    } catch (error) {
      this.#calls.close(descriptor);
      throw error;
    }
    const key = id === undefined ? this.#lowestFree() : BigInt(id);
    const set = this.#sets.get(key) ?? { members: [], duplicates: 0 };
    this.#sets.set(key, set);
    set.members.push({ fd: descriptor, opaque });
    return { id: key, fd: descriptor };
  }

  remove(id: number | bigint, fd: number | bigint | undefined): void {
    const key = BigInt(id);
    const set = this.#sets.get(key);
    const index = set?.members.findIndex((member) => fd !== undefined && BigInt(member.fd) === BigInt(fd)) ?? -1;
    if (set === undefined || (fd !== undefined && index < 0)) {
      const name = fd === undefined ? `fdset-id:${id}` : `fdset-id:${id}, fd:${fd}`;
      throw new DomainError('descriptor_not_found', `There is no descriptor '${name}'; ${this.#what(key)}.`);
    }
    const removed = fd === undefined ? set.members.splice(0) : set.members.splice(index, 1);
    for (const member of removed) this.#calls.close(member.fd);
    this.#dropIfUnused(key, set);
  }

  list(): readonly { readonly id: bigint; readonly members: readonly SetMember[] }[] {
    const all = [...this.#sets].map(([id, { members }]) => ({ id, members: [...members] }));
    return all.sort((one, other) => (one.id < other.id ? 1 : -1));
  }

  closeAll(): void {
    for (const id of [...this.#sets.keys()]) this.remove(id, undefined);
  }

  /**
   * The newest descriptor of a set that is open for exactly this use, as in QEMU. @throws DomainError if it has none.
   */
  find(path: string, wanted: 'read' | 'write', pointer: string): number {
    const text = path.slice(PREFIX.length);
    if (!/^[0-9]+$/.test(text) || BigInt(text) > ID_MAX) {
      throw invalid(pointer, `file ${shown(path)} is not ${PREFIX} and the number of a set, from 0 to ${ID_MAX}.`);
    }
    const set = this.#sets.get(BigInt(text));
    if (set === undefined) throw invalid(pointer, `file ${shown(path)} names no set; ${this.#what(null)}.`);
    const accesses = set.members.map(({ fd }) => ({ fd, access: this.#calls.accessOf(fd) }));
    const found = accesses.findLast(({ access }) => access === wanted);
    if (found !== undefined) return found.fd;
    const has = accesses.map(({ fd, access }) => `${fd} (${ACCESS_TEXT[access]})`).join(', ') || 'none';
    throw invalid(
      pointer,
      `file ${shown(path)}: the set has no descriptor that is open for ${ACCESS_TEXT[wanted]}; it has ${has}.`,
    );
  }

  /**
   * Calls `start` with the address that the engine uses: for a descriptor of a set, a duplicate for one migration. If
   * `start` throws, the duplicate is closed. @throws Error if no duplicate can be made.
   */
  lend<T>(address: MigrationAddress, start: (lent: LentAddress) => T): T {
    const lent = this.#duplicate(address);
    try {
      return start(lent);
    } catch (error) {
      lent.release();
      throw error;
    }
  }

  #duplicate(address: MigrationAddress): LentAddress {
    if (address.transport !== 'file' || address.descriptor === undefined) return { address, release: () => {} };
    const { descriptor } = address;
    const found = [...this.#sets].find(([, { members }]) => members.some(({ fd }) => fd === descriptor));
    if (found === undefined) throw new TypeError(`descriptor ${descriptor} is in no set`);
    const [id, set] = found;
    const duplicate = this.#calls.duplicate(descriptor);
    set.duplicates += 1;
    return {
      address: { ...address, descriptor: duplicate },
      release: () => {
        this.#calls.close(duplicate);
        set.duplicates -= 1;
        this.#dropIfUnused(id, set);
      },
    };
  }

  #refuse(id: number | bigint | undefined): void {
    if (id !== undefined && id < 0) {
      const reason = `fdset-id is ${id}; 0 to ${ID_MAX} are allowed`;
      throw new DomainError('value_out_of_range', `${reason}.`, { violations: [{ pointer: '/fdset-id', reason }] });
    }
    const count = [...this.#sets.values()].reduce((sum, { members }) => sum + members.length, 0);
    if (count < SET_DESCRIPTORS_MAX) return;
    const message = `The sets have ${SET_DESCRIPTORS_MAX} descriptors already; remove one first.`;
    throw new DomainError('too_many_descriptors', message);
  }

  #lowestFree(): bigint {
    let id = 0n;
    while (this.#sets.has(id)) id += 1n;
    return id;
  }

  #dropIfUnused(id: bigint, set: FdSet): void {
    if (set.members.length === 0 && set.duplicates === 0) this.#sets.delete(id);
  }

  /** The members of the set, or the sets, for the error of something that does not exist. */
  #what(id: bigint | null): string {
    const set = id === null ? undefined : this.#sets.get(id);
    if (set !== undefined) return `set ${id} has ${set.members.map(({ fd }) => fd).join(', ') || 'none'}`;
    const ids = this.list().map((one) => one.id);
    return ids.length === 0 ? 'there is no set' : `there are the sets ${ids.reverse().join(', ')}`;
  }
}

const ACCESS_TEXT: Readonly<Record<DescriptorAccess, string>> = {
  read: 'reading only',
  write: 'writing only',
  both: 'reading and writing',
  append: 'appending',
  unknown: 'an unknown use',
};

/** True if a path names a set. As in QEMU, such a path never names a file. */
export function isFdSetPath(path: string): boolean {
  return path.startsWith(PREFIX);
}
