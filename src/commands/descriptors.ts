import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import { DescriptorArguments } from './schemas/descriptors.ts';

/* Descriptors that a client passes over a unix socket, for addresses `fd:NAME`. */

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
