import type { Context } from '../context.ts';
import type { MachineUseCases } from '../domain.ts';
import { DomainError } from '../errors.ts';
import { saveAndTell } from '../migration/apply.ts';
import type { MachineKind, Workload } from '../ports.ts';
import { activateDisks } from './disks.ts';
import type { RunState } from './run-state.ts';
import { checkWorkload } from './workload.ts';

/** Stop, cont and what can be asked of the machine itself. */
export function machineUseCases(context: Context): MachineUseCases {
  const { machine, identity } = context;
  return {
    info: () => ({ ...machine.describe(), kind: machine.kind, ...identity }),
    console: () => {
      const text = machine.console();
      if (text === null) throw new DomainError('no_console', `A machine of kind '${machine.kind}' has no console.`);
      return text;
    },
    setWorkload: (change) => changeWorkload(context, change),
    checkWorkload: (change) => checkWorkload(change, context.machine.describe()),
    status: () => {
      const status = context.runState.current;
      return { running: status === 'running', status };
    },
    stop: () => stopMachine(context),
    cont: () => contMachine(context),
    quit: () => quit(context),
    tellShutdown: (reason) => tellShutdown(context, reason),
  };
}

/** Everything that runs ends with the process, as at a signal. */
function quit(context: Context): void {
  tellShutdown(context, 'host-qmp-quit');
  context.exitProcess(false);
}

function tellShutdown(context: Context, reason: 'host-qmp-quit' | 'host-signal'): void {
  saveAndTell(context, () => context.events.commit((emit) => emit('SHUTDOWN', { guest: false, reason })));
}

function changeWorkload({ machine }: Context, change: Partial<Workload>): Workload {
  const description = machine.describe();
  const before = description.guest;
  if (before === null) throw new DomainError('no_workload', `A machine of kind '${machine.kind}' has no workload.`);
  checkWorkload(change, description);
  try {
    machine.setWorkload(change);
  } catch (cause) {
    // The machine may know more bounds; what it refuses by RangeError is the caller's to know.
    if (!(cause instanceof RangeError)) throw cause;
    throw new DomainError('value_out_of_range', cause.message, {
      violations: [{ pointer: '', reason: cause.message }],
      cause,
    });
  }
  return machine.describe().guest?.workload ?? before.workload;
}

/** Stops the guest; where it does not run, only remembers that it is to stay stopped. */
async function stopMachine(context: Context): Promise<void> {
  const { machine, runState } = context;
  switch (runState.current) {
    case 'inmigrate':
      context.autostart = false;
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
  // While the vCPUs came to a halt the guest may have panicked or a migration may have stopped it.
  if (runState.current !== 'running' || !machine.isHeldFor('operator')) return;
  runState.to('paused');
  saveAndTell(context, () => context.events.commit((emit) => emit('STOP')));
  context.changes.bump();
}

/** Lets the guest run. In postmigrate this takes back a guest that has left: the operator knows why. */
async function contMachine(context: Context): Promise<void> {
  const { machine, runState } = context;
  switch (runState.current) {
    case 'running':
      // A stop that is still under way is called off.
      machine.release('operator');
      return;
    case 'inmigrate':
      context.autostart = true;
      return;
    case 'finish-migrate':
      throw new DomainError('not_finalized', 'The guest is stopped by a migration that is not finalized yet.');
    case 'save-vm':
    case 'restore-vm':
      contAfterSnapshot(context);
      return;
    case 'guest-panicked':
    case 'internal-error':
      throw resetRequired(runState.current);
    default:
      if (!context.blocks.isActive) return contWithDisks(context);
      resume(context);
  }
}

/** The disks are taken into use first: without them the guest must not run. @throws DomainError if they cannot be. */
async function contWithDisks(context: Context): Promise<void> {
  const { machine, runState } = context;
  const before = runState.current;
  context.isTakingDisks = true;
  try {
    await activateDisks(context);
  } finally {
    context.isTakingDisks = false;
  }
  // An image is only to have its disks.
  if (runState.current === before && before !== 'postmigrate' && !machine.canRun) return;
  return contMachine(context);
}

/** The guest stands still for a snapshot: it is to run as soon as that lets it go. */
function contAfterSnapshot({ machine, runState }: Context): void {
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

function resume(context: Context): void {
  const { machine, runState } = context;
  if (!machine.canRun) {
    if (runState.current !== 'postmigrate') throw cannotRun(machine.kind);
    // Held ready once more, to be sent again.
    machine.release('migration');
    runState.to('paused');
    context.changes.bump();
    return;
  }
  runState.to('running');
  machine.release('operator');
  machine.release('migration');
  saveAndTell(context, () => context.events.commit((emit) => emit('RESUME')));
  context.changes.bump();
}
