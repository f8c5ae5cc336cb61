import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { COLOStatus } from './schemas/xen.ts';

/* COLO: two machines in lock step. */

export const queryColoStatus = command({
  name: 'query-colo-status',
  summary: 'Whether the machine is in COLO mode, and why it left it',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => replication.coloStatus(),
});

export const coloLostHeartbeat = command({
  name: 'x-colo-lost-heartbeat',
  summary: 'Tell COLO that its peer is not heard any more, so that this side takes over',
  qapi: { returns: 'nothing', features: ['unstable'] },
  role: 'operator',
  arguments: Empty,
  result: COLOStatus,
  run: ({ replication }) => {
    replication.lostHeartbeat();
    return replication.coloStatus();
  },
});
