import { RUN_STATES } from '../../commands/domain.ts';
import { type Family, one, oneOf } from './family.ts';

/* The guest: whether it runs, what it panicked of, its memory. */

export const MACHINE_FAMILIES: readonly Family[] = [
  {
    name: 'vmferry_guest_running',
    help: '1 if the guest runs.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.machine.status().running ? 1 : 0),
  },
  {
    name: 'vmferry_guest_run_state',
    help: 'The machine is in this run state.',
    kind: 'gauge',
    labels: ['state'],
    of: ({ domain }) => oneOf('state', RUN_STATES, domain.machine.status().status),
  },
  {
    name: 'vmferry_guest_panicked',
    help: '1 if the guest panicked, or one of its vCPU threads died.',
    kind: 'gauge',
    of: ({ domain }) => one((domain.machine.info().guest?.panic ?? null) === null ? 0 : 1),
  },
  {
    name: 'vmferry_guest_panic_info',
    help: 'What the guest panicked of; the value is 1.',
    kind: 'gauge',
    labels: ['kind', 'detail'],
    of: ({ domain }) => {
      const panic = domain.machine.info().guest?.panic ?? null;
      return panic === null ? [] : [{ labels: { kind: panic.kind, detail: panic.detail }, value: 1 }];
    },
  },
  {
    name: 'vmferry_guest_memory_bytes',
    help: 'RAM of the machine.',
    kind: 'gauge',
    of: ({ domain }) => one(domain.machine.info().ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0)),
  },
];
