import { DomainError, type ErrorCode } from './errors.ts';

/*
 * Which activities exclude each other. An activity that begins is refused while one that excludes it has the machine;
 * the refusal names that one. Whether the guest is here at all is decided by the run state, not here. Jobs that need the
 * machine do not exclude each other: they wait in the queue of jobs.
 */

/** An activity that has the machine, or soon will. */
export const CLAIMANTS = ['closing', 'outgoing', 'incoming', 'listener', 'cont', 'device-state', 'job'] as const;
export type Claimant = (typeof CLAIMANTS)[number];

/** Claims that last as long as one call, or for the rest of the process. All others are read from their owners. */
export type Claim = Extract<Claimant, 'closing' | 'listener' | 'cont' | 'device-state'>;

/** An activity that may be refused. */
export type Activity =
  | 'outgoing migration'
  | 'incoming migration'
  | 'listener'
  | 'snapshot job'
  | 'machine snapshot'
  | 'device state'
  | 'blocker'
  | 'capabilities';

/** The claimants that exclude an activity; the first that has the machine is the reason of the refusal. */
export const EXCLUDED_BY: Readonly<Record<Activity, readonly Claimant[]>> = {
  'outgoing migration': ['closing', 'outgoing', 'device-state', 'job'],
  // Asked again once the address is bound.
  'incoming migration': ['closing', 'cont'],
  listener: ['device-state', 'job', 'listener', 'incoming'],
  'snapshot job': ['closing'],
  // Asked by a job that has the machine.
  'machine snapshot': ['outgoing', 'incoming', 'device-state'],
  'device state': ['closing', 'device-state', 'job', 'listener', 'outgoing', 'incoming'],
  blocker: ['outgoing'],
  capabilities: ['outgoing'],
};

/** A migration as far as refusals name it. */
type NamedMigration = {
  readonly id: string;
  readonly status: string;
  readonly direction: 'outgoing' | 'incoming';
  readonly isEnded: boolean;
};

export type OccupancyOptions = {
  /** The newest migration of this process. */
  readonly migration: () => NamedMigration | null;
  /** The job that has the machine, or is the next to have it; null if there is none. */
  readonly jobWithMachine: () => string | null;
};

/** What a refusal says of the claimant: the migration or the job that it is. */
type Holder = { readonly migration: NamedMigration | null; readonly job: string | null };

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
  cont: { code: 'not_expecting_incoming', text: () => 'The guest that has left is being taken back (cont).' },
  'device-state': {
    code: 'job_in_progress',
    text: () => "The state of the machine's devices is being saved or loaded.",
  },
  job: {
    code: 'job_in_progress',
    text: ({ job }) => `Job '${job}' needs the machine; wait for its end, or cancel it.`,
  },
};

/** Who has the machine now, and which activity that excludes. */
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
      default:
        return this.#claims.has(claimant);
    }
  }

  /** True from the moment when a listener is being opened until the migration that comes to it has ended. */
  get isIncomingUnderWay(): boolean {
    return this.has('listener') || this.has('incoming');
  }

  /** Claims the machine while `work` is under way. */
  async during<T>(claim: Exclude<Claim, 'closing'>, work: () => Promise<T>): Promise<T> {
    this.#claims.add(claim);
    try {
      return await work();
    } finally {
      this.#claims.delete(claim);
    }
  }

  /** The service ends: no activity begins any more. */
  close(): void {
    this.#claims.add('closing');
  }

  /** @throws DomainError if an activity that excludes this one is under way. */
  refuse(activity: Activity): void {
    const claimant = EXCLUDED_BY[activity].find((one) => this.has(one));
    if (claimant === undefined) return;
    const { code, text } = REFUSALS[claimant];
    const holder = { migration: this.#options.migration(), job: this.#options.jobWithMachine() };
    throw new DomainError(code, text(holder, activity));
  }

  #isRunning(direction: NamedMigration['direction']): boolean {
    const migration = this.#options.migration();
    return migration !== null && migration.direction === direction && !migration.isEnded;
  }
}
