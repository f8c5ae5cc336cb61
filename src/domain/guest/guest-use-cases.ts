import { DomainError, type Violation } from '../errors.ts';
import type { Occupancy } from '../occupancy.ts';
import type { Hypervisor, MachineDescription, MachineKind, Workload } from '../ports/hypervisor.ts';
import type { Identity } from '../ports/process.ts';
import type { Guest, GuestDisks } from './guest.ts';
import type { RunState } from './run-state.ts';

export type MachineInfo = MachineDescription & {
  readonly kind: MachineKind;
  readonly name: string;
  readonly uuid: string;
};

/** StatusInfo of the QAPI schema. */
export type StatusInfo = { readonly running: boolean; readonly status: RunState };

export interface MachineUseCases {
  info(): MachineInfo;
  /** The newest 4 KiB of the console at most. */
  console(): string;
  setWorkload(change: Partial<Workload>): Workload;
  /** Throws the error that `setWorkload` would throw for rate and span; other members are not checked. */
  checkWorkload(change: Readonly<Record<string, unknown>>): void;
  status(): StatusInfo;
  stop(): Promise<void>;
  cont(): Promise<void>;
  /** Emits the event SHUTDOWN and ends the process. */
  quit(): void;
  /** Emits the event SHUTDOWN with its reason. */
  emitShutdown(reason: 'host-signal'): void;
}

export type GuestParts = {
  readonly machine: Pick<Hypervisor, 'kind' | 'describe' | 'console' | 'setWorkload'>;
  readonly guest: Guest;
  readonly disks: GuestDisks;
  readonly occupancy: Pick<Occupancy, 'during'>;
  readonly identity: Identity;
  /** Ends the process; `failed` is true after a failure. */
  readonly exitProcess: (failed: boolean) => void;
};

/** Stop, cont and questions about the machine itself. */
export function guestUseCases(parts: GuestParts): MachineUseCases {
  const { machine, guest, identity } = parts;
  const emitShutdown = (reason: 'host-qmp-quit' | 'host-signal') => guest.emit('SHUTDOWN', { guest: false, reason });
  return {
    info: () => ({ ...machine.describe(), kind: machine.kind, ...identity }),
    console: () => {
      const text = machine.console();
      if (text === null) throw new DomainError('no_console', `A machine of kind '${machine.kind}' has no console.`);
      return text;
    },
    setWorkload: (change) => changeWorkload(machine, change),
    checkWorkload: (change) => checkWorkload(change, machine.describe()),
    status: () => ({ running: guest.state === 'running', status: guest.state }),
    stop: () => stopGuest(guest),
    cont: () => contGuest(parts),
    quit: () => {
      emitShutdown('host-qmp-quit');
      parts.exitProcess(false);
    },
    emitShutdown,
  };
}

function changeWorkload(machine: GuestParts['machine'], change: Partial<Workload>): Workload {
  const description = machine.describe();
  const before = description.guest;
  if (before === null) throw new DomainError('no_workload', `A machine of kind '${machine.kind}' has no workload.`);
  checkWorkload(change, description);
  try {
    machine.setWorkload(change);
  } catch (cause) {
    // The machine may have further limits; a RangeError means that the caller's value exceeds one.
    if (!(cause instanceof RangeError)) throw cause;
    throw new DomainError('value_out_of_range', cause.message, {
      violations: [{ pointer: '', reason: cause.message }],
      cause,
    });
  }
  return machine.describe().guest?.workload ?? before.workload;
}

/** Stops the guest. During a migration or a snapshot it only keeps the guest from running afterwards. */
async function stopGuest(guest: Guest): Promise<void> {
  const { machine, runState } = guest;
  switch (guest.state) {
    case 'inmigrate':
      guest.autostart = false;
      return;
    case 'finish-migrate':
      return machine.hold('operator');
    case 'save-vm':
    case 'restore-vm':
      if (runState.interrupted !== 'running') return;
      runState.becomeAfterwards('paused');
      return machine.hold('operator');
    case 'running':
      break;
    default:
      return;
  }
  await machine.hold('operator');
  // While the vCPUs were stopping the guest may have panicked, or a migration may have stopped it.
  if (runState.current !== 'running' || !machine.isHeldFor('operator')) return;
  runState.to('paused');
  guest.emit('STOP');
  guest.changed();
}

/** Runs the guest. In postmigrate it runs again the guest that has left: the operator is responsible for that. */
async function contGuest(parts: GuestParts): Promise<void> {
  const { guest, disks } = parts;
  switch (guest.state) {
    case 'running':
      // Cancels a running stop.
      guest.machine.release('operator');
      return;
    case 'inmigrate':
      guest.autostart = true;
      return;
    case 'finish-migrate':
      throw new DomainError('not_finalized', 'The guest is stopped by a migration that is not finalized yet.');
    case 'save-vm':
    case 'restore-vm':
      contAfterSnapshot(guest);
      return;
    case 'guest-panicked':
    case 'internal-error':
      throw resetRequired(guest.state);
    default:
      if (!disks.isActive) return contWithDisks(parts);
      resume(guest);
  }
}

/**
 * Activates the disks first, because the guest must not run without them. @throws DomainError if they cannot be
 * activated.
 */
async function contWithDisks(parts: GuestParts): Promise<void> {
  const { guest, disks, occupancy } = parts;
  const before = guest.state;
  await occupancy.during('cont', () => disks.activate());
  // For an image the command only activates the disks.
  if (guest.state === before && before !== 'postmigrate' && !guest.machine.canRun) return;
  return contGuest(parts);
}

/** The guest is stopped for a snapshot: it runs when the snapshot releases it. */
function contAfterSnapshot({ machine, runState }: Guest): void {
  if (runState.interrupted === 'guest-panicked') throw resetRequired(runState.interrupted);
  if (!machine.canRun) throw cannotRun(machine.kind);
  runState.becomeAfterwards('running');
  machine.release('operator');
}

function resetRequired(state: RunState): DomainError {
  return new DomainError('machine_reset_required', `The guest is in state '${state}' and cannot go on.`);
}

function cannotRun(kind: MachineKind): DomainError {
  return new DomainError('machine_cannot_run', `A machine of kind '${kind}' has no vCPU that could run.`);
}

function resume(guest: Guest): void {
  const { machine } = guest;
  if (!machine.canRun) {
    if (guest.state !== 'postmigrate') throw cannotRun(machine.kind);
    // The image can be sent again afterwards.
    machine.release('migration');
    guest.enter('paused');
    return;
  }
  guest.runState.to('running');
  machine.release('operator');
  machine.release('migration');
  guest.emit('RESUME');
  guest.changed();
}

/** Largest workload in bytes/s; no guest reaches it. */
const RATE_MAX = 2 ** 40;

/**
 * Checks the numbers of a workload change, which may have any type, against their limits.
 * @throws DomainError with every violation.
 */
export function checkWorkload(
  change: { readonly rate?: unknown; readonly span?: unknown },
  { ramBlocks }: Pick<MachineDescription, 'ramBlocks'>,
): void {
  const ramBytes =
    ramBlocks.length === 0 ? Number.POSITIVE_INFINITY : ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const violations = [
    ...outside('rate', change.rate, { max: RATE_MAX, unit: 'bytes/s' }),
    ...outside('span', change.span, { max: ramBytes, unit: 'bytes, the RAM' }),
  ];
  if (violations.length === 0) return;
  throw new DomainError('value_out_of_range', violations.map(({ reason }) => reason).join(' '), { violations });
}

function outside(
  name: 'rate' | 'span',
  value: unknown,
  { max, unit }: { readonly max: number; readonly unit: string },
): readonly Violation[] {
  if (typeof value !== 'number' && typeof value !== 'bigint') return [];
  if (value >= 0 && value <= max) return [];
  return [{ pointer: `/${name}`, reason: `${name} is ${value}; it may be from 0 to ${max} ${unit}.` }];
}
