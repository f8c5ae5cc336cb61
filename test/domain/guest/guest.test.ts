import { describe, expect, it } from 'vitest';
import { RUN_STATES, RunStateHolder } from '../../../src/domain/guest/run-state.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf } from '../fakes/refusal.ts';

describe('the machine', () => {
  it('stops and resumes, with one event each', async () => {
    const { domain, machine, events } = fakeDomain();
    expect(domain.machine.status()).toEqual({ running: true, status: 'running' });
    await Promise.all([domain.machine.stop(), domain.machine.stop()]);
    expect(domain.machine.status()).toEqual({ running: false, status: 'paused' });
    expect(machine.runs).toBe(false);
    await domain.machine.stop();
    await domain.machine.cont();
    await domain.machine.cont();
    expect(domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(machine.runs).toBe(true);
    expect(events()).toEqual(['STOP', 'RESUME']);
  });

  it('started paused does not run until cont', async () => {
    const { domain, machine, events } = fakeDomain({ startPaused: true });
    expect(machine.isHeldFor('operator')).toBe(true);
    await domain.machine.stop();
    expect(domain.machine.status().status).toBe('prelaunch');
    await domain.machine.cont();
    expect(machine.runs).toBe(true);
    expect(events()).toEqual(['RESUME']);
  });

  it('that panics is stopped with an event, and cannot be resumed', async () => {
    const { domain, machine, events } = fakeDomain();
    machine.panic();
    expect(domain.machine.status()).toEqual({ running: false, status: 'guest-panicked' });
    expect(events()).toEqual(['GUEST_PANICKED pause', 'STOP']);
    await expect(domain.machine.cont()).rejects.toMatchObject({ code: 'machine_reset_required', kind: 'conflict' });
    await domain.machine.stop();
    expect(domain.machine.status().status).toBe('guest-panicked');
  });

  it('that panics during a stop stays panicked', async () => {
    const { domain, machine } = fakeDomain();
    const stopped = domain.machine.stop();
    machine.panic();
    await stopped;
    expect(domain.machine.status().status).toBe('guest-panicked');
  });

  it('that panics while it is stopped for the switchover does not run again after a failure', async () => {
    const { domain, machine, outgoing, events } = fakeDomain();
    const { id } = domain.migration.start({ uri: 'tcp:h:1' });
    outgoing().step('active');
    outgoing().listener.guestStopped();
    machine.panic();
    expect(domain.machine.status().status).toBe('finish-migrate');
    outgoing().listener.guestResumed();
    outgoing().finish('failed');
    await domain.migration.ended(id, 1000);
    expect(domain.machine.status().status).toBe('guest-panicked');
    expect(events()).not.toContain('RESUME');
  });

  it('whose vCPU thread died stays in internal-error', async () => {
    const { domain, machine, events } = fakeDomain();
    machine.panic('vcpu-died');
    expect(domain.machine.status().status).toBe('internal-error');
    expect(events()).toEqual(['STOP']);
    await expect(domain.machine.cont()).rejects.toMatchObject({ code: 'machine_reset_required' });
  });

  it('has an identity, and accepts a new workload', () => {
    const { domain } = fakeDomain();
    expect(domain.machine.info()).toMatchObject({ kind: 'synthetic', name: 'vm0', vcpus: 1 });
    expect(domain.machine.console()).toBe('tick 1\n');
    expect(domain.machine.setWorkload({ rate: 7 })).toEqual({ rate: 7, span: 4096, pattern: 'hot' });
    expect(refusalOf(() => domain.machine.setWorkload({ rate: -1 }))).toMatchObject({ code: 'value_out_of_range' });
  });

  it('that is an image has neither workload nor console', () => {
    const { domain } = fakeDomain({ machine: new FakeMachine('image') });
    expect(domain.machine.status()).toEqual({ running: false, status: 'prelaunch' });
    expect(refusalOf(() => domain.machine.setWorkload({ rate: 1 }))).toMatchObject({ code: 'no_workload' });
    expect(refusalOf(() => domain.machine.console())).toMatchObject({ code: 'no_console', kind: 'missing' });
  });

  it('refuses each step between run states that is not in the table', () => {
    for (const state of RUN_STATES) {
      const holder = new RunStateHolder(state);
      expect(() => holder.to(state)).toThrow();
      expect(holder.current).toBe(state);
    }
  });
});
