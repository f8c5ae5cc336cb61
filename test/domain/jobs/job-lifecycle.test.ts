import { describe, expect, test } from 'vitest';
import {
  isConcluded,
  JOB_STATUSES,
  JOB_TRANSITIONS,
  JOB_VERB_STATES,
  JOB_VERBS,
  type JobStatus,
  type JobVerb,
  transition,
} from '../../../src/domain/jobs/job-lifecycle.ts';
import { checkJobId } from '../../../src/domain/jobs/job-spec.ts';
import qemu from '../../fixtures/qemu/jobs.json' with { type: 'json' };
import { refusalOf } from '../fakes/refusal.ts';

describe('the lifecycle of a job', () => {
  test('allows exactly the transitions of the table', () => {
    for (const from of JOB_STATUSES) {
      for (const to of JOB_STATUSES) {
        if (JOB_TRANSITIONS[from].includes(to)) expect(transition(from, to)).toBe(to);
        else expect(() => transition(from, to)).toThrow(`job state ${from} does not lead to ${to}`);
      }
    }
  });

  test('reaches every state from created, and every state except null has a successor', () => {
    const reached = new Set<JobStatus>(['created']);
    for (const from of reached) for (const to of JOB_TRANSITIONS[from]) reached.add(to);
    expect([...reached].sort()).toEqual([...JOB_STATUSES].sort());
    expect(JOB_STATUSES.filter((status) => JOB_TRANSITIONS[status].length === 0)).toEqual(['null']);
  });

  test('ends only in concluded and null', () => {
    expect(JOB_STATUSES.filter(isConcluded)).toEqual(['concluded', 'null']);
  });

  test.each(qemu.sequences)('has the transitions that QEMU reports at $command $steps', ({ steps }) => {
    steps.reduce((from, to) => transition(from as JobStatus, to as JobStatus));
  });
});

describe('the verbs of a job', () => {
  /* Whether a job is paused is no matter of the table: resume of one that is not, and pause of one that is, are refused
   * by the job itself. */
  const PAUSED: readonly string[] = ['paused', 'standby'];
  const asked = qemu.verbs.filter(
    ({ status, verb }) =>
      !(verb === 'job-resume' && !PAUSED.includes(status)) && !(verb === 'job-pause' && PAUSED.includes(status)),
  );

  test.each(asked)('$verb in $status is accepted if QEMU 10.0 accepts it', ({ status, verb, errorClass }) => {
    const states = JOB_VERB_STATES[verb.replace('job-', '') as JobVerb];
    expect(states.includes(status as JobStatus)).toBe(errorClass === null);
  });

  test('every verb was recorded from QEMU in every state that can be held', () => {
    expect(new Set(qemu.verbs.map(({ verb }) => verb))).toEqual(new Set(JOB_VERBS.map((verb) => `job-${verb}`)));
    expect(new Set(qemu.verbs.map(({ status }) => status)).size).toBe(6);
  });
});

describe('the id of a job', () => {
  test.each(qemu.ids)('$id is accepted if QEMU 10.0 accepts it', ({ id, isAccepted }) => {
    expect(refusalOf(() => checkJobId(id))?.code).toBe(isAccepted ? undefined : 'invalid_job_id');
  });

  test('has at most 4096 characters', () => {
    expect(refusalOf(() => checkJobId('a'.repeat(4096)))).toBeNull();
    expect(refusalOf(() => checkJobId('a'.repeat(4097)))?.violations[0]?.pointer).toBe('/job-id');
  });
});
