import { DomainError, isErrorCode } from './errors.ts';
import type { Guest } from './guest/guest.ts';
import { holdForSnapshot, releaseFromSnapshot } from './guest/guest-interruptions.ts';
import type { RunState } from './guest/run-state.ts';
import { type AddressRules, fileAddress } from './migration/migration-address.ts';
import type { Occupancy } from './occupancy.ts';
import type { DeviceSaving, Hypervisor } from './ports/hypervisor.ts';
import type { TransferError } from './ports/migration-session.ts';

/*
 * COLO, and Xen's control of block replication, for a host without both: every command is answered as by a QEMU 10.0
 * that replicates nothing. An implementation replaces NO_REPLICATION.
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
  /** The peer's heartbeat is missing: this side takes over. */
  lostHeartbeat(): void;
  /** Starts or ends the replication of disks. */
  setReplication(request: ReplicationRequest): void;
  replicationStatus(): ReplicationStatus;
  /** Makes replicated disks take a checkpoint. */
  checkpoint(): void;
  /** Switches the log of dirty pages on or off. */
  setDirtyLog(enable: boolean): void;
}

/** The answers of a host that replicates nothing. */
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
  // No disk is replicated: nothing to do.
  checkpoint: () => {},
  // The dirty log of a machine here is always on, so the command has no effect.
  setDirtyLog: () => {},
};

export type SavedDevices = { readonly filename: string; readonly bytes: number; readonly sections: number };

export interface DeviceStateUseCases {
  /** Writes the state of all devices, but no RAM and no disk, into a file. The guest is stopped briefly. */
  save(filename: string): Promise<SavedDevices>;
  /** Loads the state of all devices from such a file. The guest must be stopped; RAM and disks do not change. */
  load(filename: string): Promise<void>;
}

export type DeviceStateParts = {
  readonly hypervisor: Pick<Hypervisor, 'hold' | 'release' | 'saveDevices' | 'loadDevices'>;
  readonly guest: Guest;
  readonly occupancy: Pick<Occupancy, 'refuse' | 'during'>;
  readonly addressRules: AddressRules;
};

export function deviceStateUseCases(parts: DeviceStateParts): DeviceStateUseCases {
  return {
    save: (filename) => exclusively(parts, () => save(parts, filename)),
    load: (filename) => exclusively(parts, () => load(parts, filename)),
  };
}

/** No activity that needs the machine runs at the same time. */
async function exclusively<T>({ occupancy }: DeviceStateParts, work: () => Promise<T>): Promise<T> {
  occupancy.refuse('device state');
  return occupancy.during('device-state', work);
}

async function save(parts: DeviceStateParts, filename: string): Promise<SavedDevices> {
  const path = pathOf(parts.addressRules, filename);
  const { written } = await captured(parts, path);
  return { filename: path, ...(await written.catch(rethrow)) };
}

/** Stops a running guest while its device state is copied, with the events STOP and RESUME as in QEMU. */
async function captured({ hypervisor, guest }: DeviceStateParts, path: string): Promise<DeviceSaving> {
  const isRunning = guest.state === 'running';
  try {
    if (isRunning) await holdForSnapshot(guest, 'save-vm');
    else await hypervisor.hold('snapshot');
    const saving = hypervisor.saveDevices(path);
    // Prevents an unhandled rejection: it may fail before it is awaited.
    saving.written.catch(() => {});
    await saving.captured;
    return saving;
  } finally {
    if (isRunning) releaseFromSnapshot(guest);
    else hypervisor.release('snapshot');
  }
}

async function load(parts: DeviceStateParts, filename: string): Promise<void> {
  const { hypervisor, guest, occupancy } = parts;
  occupancy.refuse('device load');
  const loaded = await hypervisor.loadDevices(pathOf(parts.addressRules, filename)).catch(rethrow);
  try {
    // An operator may have continued the guest while the file was read.
    await hypervisor.hold('snapshot');
    occupancy.refuse('device load');
    loaded.adopt();
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw new DomainError('device_state_refused', `The machine does not take this state: ${messageOf(cause)}.`, {
      cause,
    });
  } finally {
    hypervisor.release('snapshot');
  }
  takeRunState(guest);
}

/** Device state includes a panic, so a load may set or clear it. The run state follows. */
function takeRunState(guest: Guest): void {
  const { machine, runState } = guest;
  const isPanicked = machine.isHeldFor('panic');
  if (isPanicked && STOPPED.has(runState.current)) {
    if (runState.current !== 'paused') runState.to('paused');
    runState.to('guest-panicked');
  } else if (!isPanicked && runState.current === 'guest-panicked') {
    guest.hold('operator');
    runState.to('paused');
  }
  guest.changed();
}

const STOPPED: ReadonlySet<RunState> = new Set(['paused', 'prelaunch', 'postmigrate'] as const);

/** Path relative to the file root. */
function pathOf(rules: AddressRules, filename: string): string {
  const address = fileAddress(filename, 0, { rules, pointer: '/filename' });
  if (address.transport !== 'file') throw new TypeError('a file has an address of another kind');
  return address.path;
}

/**
 * A file that cannot be used has an error code of its own; all faults of its content have the code
 * device_state_refused.
 */
function rethrow(error: unknown): never {
  const { code, message } = error as Partial<TransferError>;
  if (typeof code !== 'string') throw error;
  const known = code === 'channel_failed' ? 'engine_failed' : isErrorCode(code) ? code : 'device_state_refused';
  throw new DomainError(known, `${message}.`, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
