import { command } from './command.ts';
import { Blocker, BlockerAddArguments, BlockerId, BlockerList } from './schemas/blockers.ts';
import { Empty } from './schemas/common.ts';

/* Reasons that forbid an outgoing migration. */

export const queryBlockers = command({
  name: 'x-ferry-query-blockers',
  summary: 'The reasons that forbid an outgoing migration now',
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: BlockerList,
  run: (domain) => ({ blockers: domain.blockers.list(), 'only-migratable': domain.blockers.isOnlyMigratable }),
});

export const addBlocker = command({
  name: 'x-ferry-add-blocker',
  summary: 'Forbid outgoing migrations, with a reason',
  qapi: null,
  role: 'operator',
  begins: true,
  arguments: BlockerAddArguments,
  result: Blocker,
  run: (domain, { reason }) => domain.blockers.add(reason),
});

export const removeBlocker = command({
  name: 'x-ferry-remove-blocker',
  summary: 'Take a reason back',
  qapi: null,
  role: 'operator',
  arguments: BlockerId,
  result: Empty,
  run: (domain, { id }) => {
    domain.blockers.remove(id);
    return {};
  },
});
