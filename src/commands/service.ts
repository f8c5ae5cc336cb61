import { DomainError } from '../domain/errors.ts';
import { type Command, type CommandContext, command } from './command.ts';
import { introspect } from './introspection.ts';
import { Empty } from './schemas/common.ts';
import {
  AddFdArguments,
  AddfdInfo,
  CommandInfoList,
  DescriptorArguments,
  FdsetInfoList,
  HumanMonitorCommandArguments,
  MonitorText,
  NameInfo,
  QmpCapabilitiesArguments,
  RemoveFdArguments,
  SchemaInfoList,
  UuidInfo,
  VersionInfo,
} from './schemas/service.ts';

/*
 * Commands for the service itself: version, name, capabilities, quit, and file descriptors that a client passes over a unix socket.
 * And the interface of the text monitor.
 */

/** The version of QEMU whose commands, types and answers vmferry has. */
export const QEMU_VERSION = { major: 10, minor: 0, micro: 0 } as const;

/** Version and origin in QMP's greeting. */
export const VERSION = { qemu: QEMU_VERSION, package: 'vmferry' } as const;

export const queryVersion = command({
  name: 'query-version',
  summary: 'The version of QEMU whose commands vmferry has',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: VersionInfo,
  run: () => VERSION,
});

export const queryName = command({
  name: 'query-name',
  summary: 'Name of the machine',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: NameInfo,
  run: ({ machine }) => ({ name: machine.info().name }),
});

export const queryUuid = command({
  name: 'query-uuid',
  summary: 'UUID of the machine',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: UuidInfo,
  run: ({ machine }) => ({ UUID: machine.info().uuid }),
});

export const quit = command({
  name: 'quit',
  summary: 'End the service and its machine',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: Empty,
  run: ({ machine }) => {
    machine.quit();
    return {};
  },
});

export const humanMonitorCommand = command({
  name: 'human-monitor-command',
  summary: 'Run a line of the text monitor',
  qapi: { returns: 'result', features: ['savevm-monitor-nodes'] },
  role: 'operator',
  arguments: HumanMonitorCommandArguments,
  result: MonitorText,
  run: async ({ machine }, { 'command-line': line, 'cpu-index': cpu = 0 }, context) => {
    const { monitor } = context;
    const { vcpus } = machine.info();
    if (cpu < 0 || cpu >= Math.max(vcpus, 1)) {
      const reason = `cpu-index is ${cpu}; this machine has ${vcpus} vCPUs`;
      throw new DomainError('value_out_of_range', `${reason}.`, { violations: [{ pointer: '/cpu-index', reason }] });
    }
    if (monitor === undefined) throw new DomainError('monitor_not_available', 'This service has no text monitor.');
    return await monitor(line, context);
  },
});

export const qmpCapabilities = command({
  name: 'qmp_capabilities',
  summary: "Negotiate the capabilities of a QMP connection; a client's first command",
  qapi: { returns: 'nothing' },
  role: 'viewer',
  arguments: QmpCapabilitiesArguments,
  result: Empty,
  run: (_domain, { enable = [] }, { negotiate }) => {
    if (negotiate === undefined)
      throw new DomainError(
        'already_negotiated',
        'Capabilities are negotiated once, at the start of a QMP connection.',
      );
    negotiate(enable);
    return {};
  },
});

/** All commands, in the order of query-commands: first the commands of the first version, then the later ones. */
export type ListedCommands = { readonly first: readonly Command[]; readonly later: readonly Command[] };

/** The commands that list and describe all commands, themselves included. */
export function introspectionCommands(listed: () => ListedCommands): readonly Command[] {
  const queryCommands = command({
    name: 'query-commands',
    summary: 'The names of all commands',
    qapi: { returns: 'result' },
    role: 'viewer',
    arguments: Empty,
    result: CommandInfoList,
    run: () => {
      const { first, later } = listed();
      return [...first, ...later].map(({ name }) => ({ name }));
    },
  });
  const queryQmpSchema = command({
    name: 'query-qmp-schema',
    summary: 'All commands and events with their types',
    qapi: { returns: 'result' },
    role: 'viewer',
    arguments: Empty,
    result: SchemaInfoList,
    run: () => {
      const { first, later } = listed();
      return introspect(first, later);
    },
  });
  return [queryCommands, queryQmpSchema];
}

/** Optional parts of a call of the text monitor. */
export type MonitorIo = {
  /** Receives lines of progress while a command runs. */
  readonly progress?: (text: string) => void;
  /** Ends the wait for a command's work; the work continues. */
  readonly signal?: AbortSignal;
  /** Context of every command that the line runs. */
  readonly context?: CommandContext;
};

export type MonitorAnswer = {
  /** The text that a terminal shows: empty, or lines that each end with a line feed. */
  readonly text: string;
  /** False if the line was not a command with valid arguments; then nothing was run. */
  readonly isCommand: boolean;
};

/** The text monitor of one machine. */
export interface TextMonitor {
  answer(line: string, io?: MonitorIo): Promise<MonitorAnswer>;
  /** Completions of the last word of the line; empty if there are none. */
  complete(line: string): readonly string[];
}

/* File descriptors: by name, for addresses `fd:NAME`, and in numbered sets, for addresses `file:/dev/fdset/N`. */

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
