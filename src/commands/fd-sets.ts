import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { AddFdArguments, AddfdInfo, FdsetInfoList, RemoveFdArguments } from './schemas/descriptors.ts';

/* Descriptors that a client passes over a unix socket into numbered sets, for addresses `file:/dev/fdset/N`. */

export const addFd = command({
  name: 'add-fd',
  summary: 'Put the descriptor that came with the command into a set',
  qapi: { returns: 'result' },
  role: 'operator',
  arguments: AddFdArguments,
  result: AddfdInfo,
  run: ({ fdSets }, { 'fdset-id': id, opaque }, { takeDescriptor }) => {
    const added = fdSets.add({ descriptor: takeDescriptor?.() ?? null, id, opaque });
    return { 'fdset-id': shownId(added.id), fd: added.fd };
  },
});

export const removeFd = command({
  name: 'remove-fd',
  summary: 'Close a descriptor of a set, or all that the set has',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: RemoveFdArguments,
  result: Empty,
  run: ({ fdSets }, { 'fdset-id': id, fd }) => {
    fdSets.remove(id, fd);
    return {};
  },
});

export const queryFdsets = command({
  name: 'query-fdsets',
  summary: 'The sets of descriptors',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: FdsetInfoList,
  run: ({ fdSets }) =>
    fdSets.list().map(({ id, members }) => ({
      fds: members.map(({ fd, opaque }) => ({ fd, ...(opaque === undefined ? {} : { opaque }) })),
      'fdset-id': shownId(id),
    })),
});

/** As other 64-bit integers: a number where that is exact. */
function shownId(id: bigint): number | bigint {
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}
