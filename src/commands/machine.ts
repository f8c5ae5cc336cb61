import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { ConsoleText, Machine, StatusInfo, Workload, WorkloadChange } from './schemas/machine.ts';
import { machineView } from './views/machine.ts';

/* The machine: description, run state, console and workload. */

export const queryStatus = command({
  name: 'query-status',
  summary: 'Whether the guest runs, and its run state',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: StatusInfo,
  run: (domain) => domain.machine.status(),
});

export const stop = command({
  name: 'stop',
  summary: 'Stop the guest',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: StatusInfo,
  run: async (domain) => {
    await domain.machine.stop();
    return domain.machine.status();
  },
});

export const cont = command({
  name: 'cont',
  summary: 'Resume the guest',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: StatusInfo,
  run: async (domain) => {
    await domain.machine.cont();
    return domain.machine.status();
  },
});

export const queryMachine = command({
  name: 'x-ferry-query-machine',
  summary: "Description of the machine, and its guest's counters",
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: Machine,
  run: (domain) => machineView(domain.machine.info()),
});

export const queryConsole = command({
  name: 'x-ferry-query-console',
  summary: "The newest text of the guest's console",
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: ConsoleText,
  run: (domain) => ({ text: domain.machine.console() }),
});

export const setWorkload = command({
  name: 'x-ferry-set-workload',
  summary: 'Change the workload of the synthetic guest while it runs',
  qapi: null,
  role: 'operator',
  arguments: WorkloadChange,
  result: Workload,
  run: (domain, change) => domain.machine.setWorkload(change as Parameters<typeof domain.machine.setWorkload>[0]),
  check: (domain, members) => domain.machine.checkWorkload(members),
});
