import { DomainError } from '../errors.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import { shown } from '../settings/violations.ts';
import { invalid } from './address-options.ts';

/** Descriptors that clients gave, for `fd:NAME` addresses. A migration that uses one takes it away. */
export interface DescriptorUseCases {
  /**
   * Keeps a descriptor, which is owned from now on, in place of one of that name. `descriptor` is null if none came.
   * @throws DomainError; the descriptor is closed then.
   */
  keep(name: string, descriptor: number | null): void;
  /** Closes the descriptor. @throws DomainError if there is none of that name. */
  drop(name: string): void;
  /** Closes all descriptors that clients gave and that no migration has used. */
  closeAll(): void;
}

/** Names at a time, those of `--fd` among them. */
export const DESCRIPTORS_MAX = 64;

/** The descriptors by name that no migration has used; one that a migration used is closed at its end. */
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

  /** A migration has taken the address: its descriptor, if it is one, is the migration's now. */
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
