import { DomainError } from './errors.ts';

/*
 * COLO, and Xen's hold on block replication, as on a host that has neither: every question is answered as by a QEMU 10.0
 * in which nothing is replicated. What is to come of them comes in here.
 */

/** COLOMode of the QAPI schema. */
export const COLO_MODES = ['none', 'primary', 'secondary'] as const;
/** COLOExitReason of the QAPI schema. */
export const COLO_EXIT_REASONS = ['none', 'request', 'error', 'processing'] as const;

/** COLOStatus of the QAPI schema. */
export type ColoStatus = {
  readonly mode: (typeof COLO_MODES)[number];
  readonly 'last-mode': (typeof COLO_MODES)[number];
  readonly reason: (typeof COLO_EXIT_REASONS)[number];
};

/** ReplicationStatus of the QAPI schema. */
export type ReplicationStatus = { readonly error: boolean; readonly desc?: string };

export type ReplicationRequest = {
  readonly enable: boolean;
  readonly primary: boolean;
  readonly failover?: boolean;
};

export interface ReplicationUseCases {
  coloStatus(): ColoStatus;
  /** The peer is not heard any more: this side takes over. */
  lostHeartbeat(): void;
  /** Begins or ends the replication of disks. */
  setReplication(request: ReplicationRequest): void;
  replicationStatus(): ReplicationStatus;
  /** Makes replicated disks take a checkpoint. */
  checkpoint(): void;
  /** Switches the log of dirty pages on or off. */
  setDirtyLog(enable: boolean): void;
}

/** On a host where nothing is replicated. */
export const NO_REPLICATION: ReplicationUseCases = {
  coloStatus: () => ({ mode: 'none', 'last-mode': 'none', reason: 'none' }),
  lostHeartbeat: () => {
    throw new DomainError(
      'not_in_colo',
      'The machine is not in COLO mode, so there is no peer whose heartbeat is lost.',
    );
  },
  setReplication: ({ enable, failover }) => {
    if (!enable || failover === undefined) return;
    const reason = 'is only for ending replication, and enable is true';
    const violations = [{ pointer: '/failover', reason }];
    throw new DomainError('incompatible_parameters', `failover ${reason}.`, { violations });
  },
  replicationStatus: () => ({ error: false }),
  // No disk is replicated, so all of them are done.
  checkpoint: () => {},
  // The dirty log of a machine here is always on: no migration waits for it, and none is disturbed by it.
  setDirtyLog: () => {},
};
