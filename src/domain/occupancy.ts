import { DomainError, type ErrorCode } from './errors.ts';
import type { RunState } from './guest/run-state.ts';

/*
 * The rules that decide which claimants of the machine exclude which activities. A claimant is a running activity, or a
 * state of the guest, of the machine or of the disks. An activity is refused if a claimant that excludes it has the
 * machine; the error names the claimant. Jobs that need the machine do not exclude each other: they wait in the queue
 * of jobs.
 */

export const CLAIMANTS = [
  // Activities.
  'closing',
  'outgoing',
  'incoming',
  'listener',
  'cont',
  'device-state',
  'job',
  // The guest, by the run state of the machine.
  'awaited-guest',
  'departed-guest',
  'present-guest',
  'running-guest',
  'saved-guest',
  // The machine without a usable guest, and disks that another service may use.
  'dead-machine',
  'empty-machine',
  'inactive-disks',
] as const;
export type Claimant = (typeof CLAIMANTS)[number];

/** Claims that last as long as one call, or for the rest of the process. All others are read from their owners. */
export type Claim = Extract<Claimant, 'closing' | 'listener' | 'cont' | 'device-state'>;

/**
 * An activity that may be refused. Snapshots have several: `snapshot job` starts a job, `machine snapshot` captures or
 * replaces the machine, `machine capture` captures it, `image change` deletes or compacts, and `image check` verifies.
 */
export type Activity =
  | 'outgoing migration'
  | 'incoming migration'
  | 'listener'
  | 'snapshot job'
  | 'machine snapshot'
  | 'machine capture'
  | 'image change'
  | 'image check'
  | 'device state'
  | 'device load'
  | 'blocker'
  | 'capabilities';

/** The claimants that exclude an activity; the first that has the machine is the reason of the refusal. */
export const EXCLUDED_BY: Readonly<Record<Activity, readonly Claimant[]>> = {
  'outgoing migration': [
    'closing',
    'outgoing',
    'device-state',
    'job',
    'awaited-guest',
    'departed-guest',
    'empty-machine',
  ],
  // Checked again after the address is bound.
  'incoming migration': ['closing', 'cont', 'present-guest'],
  listener: ['device-state', 'job', 'listener', 'incoming'],
  'snapshot job': ['closing'],
  // Checked by a job that has the machine. QEMU does not use snapshots of a guest that is not here either.
  'machine snapshot': [
    'awaited-guest',
    'departed-guest',
    'inactive-disks',
    'outgoing',
    'incoming',
    'device-state',
    'dead-machine',
  ],
  'machine capture': ['empty-machine'],
  'image change': ['awaited-guest', 'departed-guest', 'inactive-disks'],
  'image check': ['inactive-disks'],
  'device state': [
    'closing',
    'device-state',
    'job',
    'listener',
    'outgoing',
    'incoming',
    'dead-machine',
    'empty-machine',
  ],
  'device load': ['running-guest'],
  blocker: ['outgoing', 'saved-guest'],
  capabilities: ['outgoing'],
};

/** The guest and its machine, for the decisions about activities. */
export type GuestPresence = {
  readonly state: RunState;
  /** False for an image machine that has not adopted a guest. */
  readonly isLoaded: boolean;
  readonly areDisksActive: boolean;
};

/** The members of a migration that a refusal shows. */
type NamedMigration = {
  readonly id: string;
  readonly status: string;
  readonly direction: 'outgoing' | 'incoming';
  readonly isEnded: boolean;
};

export type OccupancyOptions = {
  /** The newest migration of this process. */
  readonly migration: () => NamedMigration | null;
  /** The job that has the machine, or the next one to get it; null if there is none. */
  readonly jobWithMachine: () => string | null;
  readonly guest: () => GuestPresence;
};

/** The data of the claimant for the text of a refusal: migration, job or run state. */
type Holder = { readonly migration: NamedMigration | null; readonly job: string | null; readonly state: RunState };

const inProgress = ({ migration }: Holder, activity: Activity): string => {
  if (activity === 'listener') return `Migration ${migration?.id} is already listened for, or comes in.`;
  const subject = activity === 'capabilities' ? 'Capabilities cannot change while migration' : 'Migration';
  return `${subject} ${migration?.id} is in progress (${migration?.status}).`;
};

/** Code and text of the refusal, by the claimant that excludes the activity. */
const REFUSALS: Readonly<
  Record<Claimant, { readonly code: ErrorCode; readonly text: (holder: Holder, activity: Activity) => string }>
> = {
  closing: { code: 'shutting_down', text: () => 'The service is shutting down.' },
  outgoing: { code: 'migration_in_progress', text: inProgress },
  incoming: { code: 'migration_in_progress', text: inProgress },
  listener: { code: 'migration_in_progress', text: () => 'A listener for an incoming migration is being opened.' },
  cont: { code: 'not_expecting_incoming', text: () => 'The guest that has left is being resumed here (cont).' },
  'device-state': {
    code: 'job_in_progress',
    text: () => "The state of the machine's devices is being saved or loaded.",
  },
  job: {
    code: 'job_in_progress',
    text: ({ job }) => `Job '${job}' needs the machine; wait for its end, or cancel it.`,
  },
  'awaited-guest': { code: 'machine_inmigrate', text: () => 'The guest is waiting for an incoming migration.' },
  'departed-guest': {
    code: 'machine_postmigrate',
    text: () =>
      'The guest has left with an earlier migration, its disks with it; cont would take it back. ' +
      'Only do that while it runs nowhere else: a guest that runs twice destroys its disks.',
  },
  'present-guest': {
    code: 'not_expecting_incoming',
    text: ({ state }) =>
      `The machine is ${state}; a migration is taken by a machine that was started with --incoming, ` +
      'and by one whose guest has left (postmigrate).',
  },
  'running-guest': {
    code: 'machine_running',
    text: () => 'The guest runs; its devices can be loaded once it is stopped.',
  },
  'saved-guest': {
    code: 'job_in_progress',
    text: ({ job }) => `The machine is being saved${job === null ? '' : ` by job '${job}'`}.`,
  },
  'dead-machine': {
    code: 'machine_reset_required',
    text: () => "The guest is in state 'internal-error': a vCPU thread has died.",
  },
  'empty-machine': { code: 'machine_not_loaded', text: () => 'This machine is empty until one has been adopted.' },
  'inactive-disks': {
    code: 'node_inactive',
    text: ({ state }) =>
      ABSENT.has(state)
        ? `The block device nodes are inactive: the guest that uses them is on the other side of a migration (${state}).`
        : 'The block device nodes are inactive: cont takes them into use.',
  },
};

/** Run states in which the guest is not here. */
const ABSENT: ReadonlySet<RunState> = new Set(['inmigrate', 'postmigrate'] as const);

/** The run state that makes the guest a claimant. */
const GUEST_STATES = {
  'awaited-guest': 'inmigrate',
  'departed-guest': 'postmigrate',
  'running-guest': 'running',
  'saved-guest': 'save-vm',
  'dead-machine': 'internal-error',
} as const satisfies Partial<Record<Claimant, RunState>>;

/** The error that refuses an activity because of a claimant. */
function refusal(claimant: Claimant, activity: Activity, holder: Holder): DomainError {
  const { code, text } = REFUSALS[claimant];
  return new DomainError(code, text(holder, activity));
}

/** The error of an activity during which a vCPU thread has died. */
export function machineDied(activity: Activity): DomainError {
  return refusal('dead-machine', activity, { migration: null, job: null, state: 'internal-error' });
}

/** Knows which claimants have the machine now, and refuses the activities that they exclude. */
export class Occupancy {
  readonly #options: OccupancyOptions;
  readonly #claims = new Set<Claim>();

  constructor(options: OccupancyOptions) {
    this.#options = options;
  }

  has(claimant: Claimant): boolean {
    switch (claimant) {
      case 'outgoing':
      case 'incoming':
        return this.#isRunning(claimant);
      case 'job':
        return this.#options.jobWithMachine() !== null;
      case 'awaited-guest':
      case 'departed-guest':
      case 'running-guest':
      case 'saved-guest':
      case 'dead-machine':
        return this.#options.guest().state === GUEST_STATES[claimant];
      case 'present-guest':
        return !ABSENT.has(this.#options.guest().state);
      case 'empty-machine':
        return !this.#options.guest().isLoaded;
      case 'inactive-disks':
        return !this.#options.guest().areDisksActive;
      default:
        return this.#claims.has(claimant);
    }
  }

  /** True from the opening of a listener until the end of the migration that comes to it. */
  get isIncomingUnderWay(): boolean {
    return this.has('listener') || this.has('incoming');
  }

  /** Claims the machine until `work` has ended. */
  async during<T>(claim: Exclude<Claim, 'closing'>, work: () => Promise<T>): Promise<T> {
    this.#claims.add(claim);
    try {
      return await work();
    } finally {
      this.#claims.delete(claim);
    }
  }

  /** The service ends: no activity starts any more. */
  close(): void {
    this.#claims.add('closing');
  }

  /** @throws DomainError if a claimant that excludes the activity has the machine. */
  refuse(activity: Activity): void {
    const claimant = EXCLUDED_BY[activity].find((one) => this.has(one));
    if (claimant === undefined) return;
    const { migration, jobWithMachine, guest } = this.#options;
    throw refusal(claimant, activity, { migration: migration(), job: jobWithMachine(), state: guest().state });
  }

  #isRunning(direction: NamedMigration['direction']): boolean {
    const migration = this.#options.migration();
    return migration !== null && migration.direction === direction && !migration.isEnded;
  }
}
