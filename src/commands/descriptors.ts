import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import {
  AddFdArguments,
  AddfdInfo,
  DescriptorArguments,
  FdsetInfoList,
  RemoveFdArguments,
} from './schemas/descriptors.ts';

/*
 * File descriptors that a client passes over a unix socket: by name, for addresses `fd:NAME`, and in numbered sets, for addresses
 * `file:/dev/fdset/N`.
 */

export const getfd = command({
  name: 'getfd',
  summary: 'Keep the descriptor that came with the command under a name, for one migration',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: DescriptorArguments,
  result: Empty,
  run: ({ descriptors }, { fdname }, { takeDescriptor }) => {
    descriptors.keep(fdname, takeDescriptor?.() ?? null);
    return {};
  },
});

export const closefd = command({
  name: 'closefd',
  summary: 'Close a descriptor that is kept under a name',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: DescriptorArguments,
  result: Empty,
  run: ({ descriptors }, { fdname }) => {
    descriptors.drop(fdname);
    return {};
  },
});

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
  summary: 'Close one descriptor of a set, or all of them',
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

/** A number if that is exact, otherwise a bigint. */
function shownId(id: bigint): number | bigint {
  const number = Number(id);
  return Number.isSafeInteger(number) ? number : id;
}
