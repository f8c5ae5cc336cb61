import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import type { RunState } from '../../src/domain/guest/run-state.ts';
import {
  type Activity,
  CLAIMANTS,
  type Claim,
  type Claimant,
  EXCLUDED_BY,
  type GuestPresence,
  Occupancy,
} from '../../src/domain/occupancy.ts';
import { refusalOf } from './fakes/refusal.ts';

const ACTIVITIES = Object.keys(EXCLUDED_BY) as Activity[];
const CODES: Readonly<Record<Claimant, ErrorCode>> = {
  closing: 'shutting_down',
  outgoing: 'migration_in_progress',
  incoming: 'migration_in_progress',
  listener: 'migration_in_progress',
  cont: 'not_expecting_incoming',
  'device-state': 'job_in_progress',
  job: 'job_in_progress',
  'awaited-guest': 'machine_inmigrate',
  'departed-guest': 'machine_postmigrate',
  'present-guest': 'not_expecting_incoming',
  'running-guest': 'machine_running',
  'saved-guest': 'job_in_progress',
  'dead-machine': 'machine_reset_required',
  'empty-machine': 'machine_not_loaded',
  'inactive-disks': 'node_inactive',
};

/** Run states by the claimant that they make of the guest. In `paused` the guest is only present. */
const RUN_STATES: Partial<Record<Claimant, RunState>> = {
  'awaited-guest': 'inmigrate',
  'departed-guest': 'postmigrate',
  'running-guest': 'running',
  'saved-guest': 'save-vm',
  'dead-machine': 'internal-error',
};

/** The guest while these claimants have the machine. */
function guestOf(claimants: readonly Claimant[]): GuestPresence {
  const [state = 'paused'] = claimants.flatMap((claimant) => RUN_STATES[claimant] ?? []);
  return {
    state,
    isLoaded: !claimants.includes('empty-machine'),
    areDisksActive: !claimants.includes('inactive-disks'),
  };
}

/** A claimant whenever the guest is here, so it has the machine beside most others. */
const PRESENT: readonly Claimant[] = ['present-guest'];

type Holders = { readonly claimants: readonly Claimant[]; readonly isEnded?: boolean };

/** Calls `look` while these claimants, and the guest in the run state that goes with them, have the machine. */
async function whileHeld({ claimants, isEnded = false }: Holders, look: (occupancy: Occupancy) => void): Promise<void> {
  const direction = claimants.find((one) => one === 'outgoing' || one === 'incoming');
  const migration = direction === undefined ? null : { id: 'm1', status: 'active', direction, isEnded };
  const job = claimants.includes('job') ? 'j1' : null;
  const occupancy = new Occupancy({
    migration: () => migration,
    jobWithMachine: () => job,
    guest: () => guestOf(claimants),
  });
  if (claimants.includes('closing')) occupancy.close();
  const held = claimants.filter((one): one is Exclude<Claim, 'closing'> => {
    return one === 'listener' || one === 'cont' || one === 'device-state';
  });
  let work = async () => look(occupancy);
  for (const claim of held) {
    const inner = work;
    work = () => occupancy.during(claim, inner);
  }
  await work();
}

describe('the occupancy of a machine', () => {
  test.each(CLAIMANTS)('refuses with the code of %s exactly the activities that it excludes', async (claimant) => {
    await whileHeld({ claimants: [claimant] }, (occupancy) => {
      expect(occupancy.has(claimant)).toBe(true);
      for (const activity of ACTIVITIES) {
        const holders = [claimant, ...PRESENT.filter((one) => occupancy.has(one))];
        const [first] = EXCLUDED_BY[activity].filter((one) => holders.includes(one));
        const refused = refusalOf(() => occupancy.refuse(activity));
        expect(refused?.code).toBe(first === undefined ? undefined : CODES[first]);
      }
    });
  });

  test('refuses nothing while no claimant has the machine, and nothing after a migration has ended', async () => {
    for (const claimants of [[], ['outgoing'], ['incoming']] as const) {
      await whileHeld({ claimants, isEnded: true }, (occupancy) => {
        const others = ACTIVITIES.filter((activity) => !EXCLUDED_BY[activity].includes('present-guest'));
        for (const activity of others) expect(() => occupancy.refuse(activity)).not.toThrow();
        expect(occupancy.isIncomingUnderWay).toBe(false);
      });
    }
  });

  test('names the migration and its status, or the job, in the refusal', async () => {
    await whileHeld({ claimants: ['outgoing'] }, (occupancy) => {
      expect(refusalOf(() => occupancy.refuse('device state'))?.message).toBe('Migration m1 is in progress (active).');
      expect(refusalOf(() => occupancy.refuse('capabilities'))?.message).toContain('while migration m1 is in progress');
    });
    await whileHeld({ claimants: ['job'] }, (occupancy) => {
      expect(refusalOf(() => occupancy.refuse('listener'))?.message).toContain("Job 'j1' needs the machine");
    });
  });

  test('gives the first claimant of the table as the reason if several exclude the activity', async () => {
    await whileHeld({ claimants: ['outgoing', 'job'] }, (occupancy) => {
      expect(refusalOf(() => occupancy.refuse('outgoing migration'))?.code).toBe('migration_in_progress');
      expect(refusalOf(() => occupancy.refuse('device state'))?.code).toBe('job_in_progress');
    });
  });

  test('releases a claim when its work has failed', async () => {
    const occupancy = new Occupancy({ migration: () => null, jobWithMachine: () => null, guest: () => guestOf([]) });
    const failing = occupancy.during('device-state', () => Promise.reject(new Error('no')));
    expect(occupancy.has('device-state')).toBe(true);
    await expect(failing).rejects.toThrow('no');
    expect(occupancy.has('device-state')).toBe(false);
  });
});
