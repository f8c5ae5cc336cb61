import type { Context } from '../context.ts';
import type { DeviceFileError, DeviceStateBytes, FilePlace } from '../device-port.ts';
import { DomainError, isErrorCode } from '../errors.ts';
import type { RunState } from '../machine/run-state.ts';
import { holdForSnapshot, letGuestGo, refuseDeadMachine } from '../machine/snapshot-steps.ts';
import { fileAddress } from '../migration/address.ts';
import { refuseWhileJobNeedsMachine } from '../migration/waiting-jobs.ts';
import { refuseEmptyMachine, refuseWhenClosing } from '../snapshots/refusals.ts';

export type SavedDevices = { readonly filename: string; readonly bytes: number; readonly sections: number };

export interface DeviceStateUseCases {
  /** Writes the state of all devices, but no RAM and no disk, into a file; the guest stands still for a moment. */
  save(filename: string): Promise<SavedDevices>;
  /** Puts the state of all devices back from such a file. The guest must be stopped; its RAM and disks stay. */
  load(filename: string): Promise<void>;
}

export function deviceStateUseCases(context: Context): DeviceStateUseCases {
  return {
    save: (filename) => exclusively(context, () => save(context, filename)),
    load: (filename) => exclusively(context, () => load(context, filename)),
  };
}

/** While a device state is taken or put back nothing else begins that needs the machine, and the other way round. */
async function exclusively<T>(context: Context, work: () => Promise<T>): Promise<T> {
  refuseWhenClosing(context);
  refuseWhileJobNeedsMachine(context);
  refuseWhileMigrating(context);
  refuseDeadMachine(context);
  refuseEmptyMachine(context);
  context.isMovingDevices = true;
  try {
    return await work();
  } finally {
    context.isMovingDevices = false;
  }
}

async function save(context: Context, filename: string): Promise<SavedDevices> {
  const place = placeOf(context, filename);
  const { bytes, sections } = await captured(context);
  await context.deviceFiles.write(place, bytes).catch(rethrow);
  return { filename: place.path, bytes: bytes.length, sections };
}

/** As in QEMU a guest that runs is told to have stopped and to go on; it stands still no longer than it takes to copy. */
async function captured(context: Context): Promise<DeviceStateBytes> {
  const { machine, runState } = context;
  const isRunning = runState.current === 'running';
  try {
    if (isRunning) await holdForSnapshot(context, 'save-vm');
    else await machine.hold('snapshot');
    return context.deviceFiles.encode(machine.transferSource());
  } finally {
    if (isRunning) letGuestGo(context);
    else machine.release('snapshot');
  }
}

async function load(context: Context, filename: string): Promise<void> {
  const { machine } = context;
  refuseRunning(context);
  const place = placeOf(context, filename);
  const loaded = await context.deviceFiles.read(place, machine.transferSource()).catch(rethrow);
  try {
    // It may have been told to run while the file was read.
    await machine.hold('snapshot');
    refuseRunning(context);
    machine.adopt(loaded);
  } catch (cause) {
    if (cause instanceof DomainError) throw cause;
    throw new DomainError('device_state_refused', `The machine does not take this state: ${messageOf(cause)}.`, {
      cause,
    });
  } finally {
    machine.release('snapshot');
  }
  takeRunState(context);
}

/** The panic that a guest may have had is part of its devices' state: it comes and goes with them. */
function takeRunState({ machine, runState, changes, report }: Context): void {
  const isPanicked = machine.isHeldFor('panic');
  if (isPanicked && STOPPED.has(runState.current)) {
    if (runState.current !== 'paused') runState.to('paused');
    runState.to('guest-panicked');
  } else if (!isPanicked && runState.current === 'guest-panicked') {
    void machine.hold('operator').catch(report);
    runState.to('paused');
  }
  changes.bump();
}

const STOPPED: ReadonlySet<RunState> = new Set(['paused', 'prelaunch', 'postmigrate'] as const);

function placeOf(rules: Context, filename: string): FilePlace {
  const address = fileAddress(filename, 0, { rules, pointer: '/filename' });
  if (address.transport !== 'file') throw new TypeError('a file has an address of another kind');
  return { fileRoot: rules.fileRoot, path: address.path };
}

function refuseRunning({ runState }: Context): void {
  if (runState.current !== 'running') return;
  throw new DomainError('machine_running', 'The guest runs; its devices can be loaded once it is stopped.');
}

function refuseWhileMigrating({ current, isListenerStarting }: Context): void {
  if (isListenerStarting)
    throw new DomainError('migration_in_progress', 'An incoming migration is being listened for.');
  if (current === null || current.isEnded) return;
  throw new DomainError('migration_in_progress', `Migration ${current.id} is in progress (${current.status}).`);
}

/** What a file is refused for under its own code, and what is wrong with its content under one. */
function rethrow(error: unknown): never {
  const { code, message } = error as DeviceFileError;
  if (typeof code !== 'string') throw error;
  const known = code === 'channel_failed' ? 'engine_failed' : isErrorCode(code) ? code : 'device_state_refused';
  throw new DomainError(known, `${message}.`, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
