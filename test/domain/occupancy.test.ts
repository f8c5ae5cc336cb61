import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/domain/errors.ts';
import {
  type Activity,
  CLAIMANTS,
  type Claim,
  type Claimant,
  EXCLUDED_BY,
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
};

type Holders = { readonly claimants: readonly Claimant[]; readonly isEnded?: boolean };

/** Calls `look` while exactly these claimants have the machine. */
async function whileHeld({ claimants, isEnded = false }: Holders, look: (occupancy: Occupancy) => void): Promise<void> {
  const direction = claimants.find((one) => one === 'outgoing' || one === 'incoming');
  const migration = direction === undefined ? null : { id: 'm1', status: 'active', direction, isEnded };
  const job = claimants.includes('job') ? 'j1' : null;
  const occupancy = new Occupancy({ migration: () => migration, jobWithMachine: () => job });
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
      for (const activity of ACTIVITIES) {
        const excluded = EXCLUDED_BY[activity].includes(claimant);
        if (excluded) expect(refusalOf(() => occupancy.refuse(activity))?.code).toBe(CODES[claimant]);
        else expect(() => occupancy.refuse(activity)).not.toThrow();
      }
    });
  });

  test('refuses nothing while no claimant has the machine, and nothing after a migration has ended', async () => {
    for (const claimants of [[], ['outgoing'], ['incoming']] as const) {
      await whileHeld({ claimants, isEnded: true }, (occupancy) => {
        for (const activity of ACTIVITIES) expect(() => occupancy.refuse(activity)).not.toThrow();
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
    const occupancy = new Occupancy({ migration: () => null, jobWithMachine: () => null });
    const failing = occupancy.during('device-state', () => Promise.reject(new Error('no')));
    expect(occupancy.has('device-state')).toBe(true);
    await expect(failing).rejects.toThrow('no');
    expect(occupancy.has('device-state')).toBe(false);
  });
});
