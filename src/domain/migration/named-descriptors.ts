import type { Context } from '../context.ts';
import { DomainError } from '../errors.ts';
import { shown } from '../settings/violations.ts';
import { invalid } from './refusals.ts';

/** Descriptors that clients gave, for `fd:NAME` addresses. A migration that uses one takes it away. */
export interface DescriptorUseCases {
  /**
   * Keeps a descriptor, which is owned from now on, in place of one of that name. `descriptor` is null if none came.
   * @throws DomainError; the descriptor is closed then.
   */
  keep(name: string, descriptor: number | null): void;
  /** Closes the descriptor. @throws DomainError if there is none of that name. */
  drop(name: string): void;
  /** Closes all that came from clients and that no migration has used. */
  closeAll(): void;
}

/** Names at a time, those of `--fd` among them. */
export const DESCRIPTORS_MAX = 64;

export function descriptorUseCases({ fds, descriptorCalls: { close } }: Context): DescriptorUseCases {
  const received = new Set<number>();
  return {
    keep: (name, descriptor) => {
      if (descriptor === null) {
        const message = 'No descriptor came with the command: it is sent over a unix socket, by SCM_RIGHTS.';
        throw new DomainError('descriptor_not_received', message);
      }
      try {
        refuseName(fds, name);
      } catch (error) {
        close(descriptor);
        throw error;
      }
      const before = fds.get(name);
      fds.set(name, descriptor);
      received.add(descriptor);
      if (before !== undefined) close(before);
    },
    drop: (name) => {
      const descriptor = fds.get(name);
      if (descriptor === undefined) {
        throw new DomainError('descriptor_not_found', `There is no descriptor named ${shown(name)}.`);
      }
      fds.delete(name);
      close(descriptor);
    },
    closeAll: () => {
      for (const [name, descriptor] of fds) {
        if (!received.has(descriptor)) continue;
        fds.delete(name);
        close(descriptor);
      }
    },
  };
}

function refuseName(fds: ReadonlyMap<string, number>, name: string): void {
  if (/^[0-9]/.test(name)) throw invalid('/fdname', `fdname ${shown(name)} begins with a digit.`);
  if (fds.size < DESCRIPTORS_MAX || fds.has(name)) return;
  throw new DomainError('too_many_descriptors', `${DESCRIPTORS_MAX} descriptors are kept already; close one first.`);
}
