import { DomainError } from '../domain/errors.ts';
import { type Command, type CommandContext, command } from './command.ts';
import { introspect } from './introspection.ts';
import { Empty } from './schemas/common.ts';
import {
  CommandInfoList,
  HumanMonitorCommandArguments,
  MonitorText,
  NameInfo,
  QmpCapabilitiesArguments,
  SchemaInfoList,
  UuidInfo,
  VersionInfo,
} from './schemas/service.ts';

/* What clients ask of the service itself: who it is, what it can do, that it end. */

/** The QEMU whose commands, types and answers these are. */
export const QEMU_VERSION = { major: 10, minor: 0, micro: 0 } as const;

/** Version and origin, as they are greeted with. */
export const VERSION = { qemu: QEMU_VERSION, package: 'vmferry' } as const;

export const queryVersion = command({
  name: 'query-version',
  summary: 'The QEMU version whose commands these are',
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
  summary: 'End the service, and what runs with it',
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
  summary: 'What the text monitor answers to one line',
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
    if (monitor === undefined) throw new DomainError('monitor_not_available', 'There is no text monitor here.');
    return await monitor(line, context);
  },
});

export const qmpCapabilities = command({
  name: 'qmp_capabilities',
  summary: 'Say what a QMP client wants of its connection; its first command',
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

/** The commands that tell of all commands, themselves included. */
export function introspectionCommands(table: () => ReadonlyMap<string, Command>): readonly Command[] {
  const queryCommands = command({
    name: 'query-commands',
    summary: 'The names of all commands',
    qapi: { returns: 'result' },
    role: 'viewer',
    arguments: Empty,
    result: CommandInfoList,
    run: () => [...table().keys()].map((name) => ({ name })),
  });
  const queryQmpSchema = command({
    name: 'query-qmp-schema',
    summary: 'All commands and events with their types',
    qapi: { returns: 'result' },
    role: 'viewer',
    arguments: Empty,
    result: SchemaInfoList,
    run: () => introspect(table().values()),
  });
  return [queryCommands, queryQmpSchema] as unknown as readonly Command[];
}

/* The text monitor as the doors see it that hand it a line: they know neither its commands nor its words. */

/** What a door may give beside the line. */
export type MonitorIo = {
  /** Told a line of text now and then while a command takes its time. */
  readonly progress?: (text: string) => void;
  /** Ends the waiting, not the work. */
  readonly signal?: AbortSignal;
  /** Handed to every command that the line leads to. */
  readonly context?: CommandContext;
};

export type MonitorAnswer = {
  /** What a terminal would show: nothing, or lines that each end with a line feed. */
  readonly text: string;
  /** False if the line was no command, or not one with these arguments: nothing was tried then. */
  readonly isCommand: boolean;
};

/** The text monitor of one machine. */
export interface TextMonitor {
  answer(line: string, io?: MonitorIo): Promise<MonitorAnswer>;
  /** What the last word of the line may become; empty if nothing is known. */
  complete(line: string): readonly string[];
}
