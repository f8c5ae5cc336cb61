import { onTestFinished } from 'vitest';
import { createDomain, type Dependencies, type Domain } from '../../../src/domain/domain.ts';
import type { NoteLevel } from '../../../src/domain/ports/process.ts';
import type { Store } from '../../../src/domain/ports/store.ts';
import { embeddedHypervisor } from '../../../src/embedded/embedded-hypervisor.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { FakeDeviceFiles } from './fake-device-files.ts';
import { FakeEngine, type FakeIncoming, type FakeOutgoing } from './fake-engine.ts';
import { FakeMachine } from './fake-machine.ts';
import { FakeTime, nextTurn } from './fake-time.ts';

export type FakeWorld = {
  readonly domain: Domain;
  readonly engine: FakeEngine;
  readonly machine: FakeMachine;
  readonly blocks: MemoryBlocks;
  readonly time: FakeTime;
  readonly store: Store;
  readonly faults: unknown[];
  /** Lines of the log. */
  readonly notes: {
    readonly message: string;
    readonly details: Readonly<Record<string, unknown>>;
    readonly level: NoteLevel;
  }[];
  /** The number of requests to end the process. */
  readonly exits: { count: number };
  /** The names of all events so far; MIGRATION and MIGRATION_PASS with their data. */
  events(): string[];
  outgoing(): FakeOutgoing;
  incoming(): FakeIncoming;
};

type Change = Partial<Omit<Dependencies, 'hypervisor' | 'clock' | 'schedule' | 'nextTurn'>> & {
  readonly deviceFiles?: FakeDeviceFiles;
  readonly machine?: FakeMachine;
  readonly blocks?: MemoryBlocks;
  /** Capabilities to switch on before anything else; `events` is always on. */
  readonly capabilities?: readonly string[];
};

/** A complete domain over a real store in memory, with an engine, a machine and a clock that the test controls. */
export function fakeDomain(change: Change = {}): FakeWorld {
  const time = new FakeTime();
  const engine = new FakeEngine(time);
  const machine = change.machine ?? new FakeMachine();
  const blocks = change.blocks ?? new MemoryBlocks();
  const store = change.store ?? openMemoryStore();
  if (change.store === undefined) onTestFinished(() => store.close());
  const faults: unknown[] = [];
  const notes: FakeWorld['notes'] = [];
  const exits = { count: 0 };
  let lastId = 0;
  const { capabilities = [], deviceFiles = new FakeDeviceFiles(), ...given } = change;
  const fileRoot = '/data/files';
  const domain = createDomain({
    ids: () => `id-${++lastId}`,
    identity: { name: 'vm0', uuid: '00000000-0000-4000-8000-000000000001', isUuidSet: true },
    fileRoot,
    allowExec: false,
    fds: new Map(),
    descriptorCalls: { close: () => {}, duplicate: (descriptor) => descriptor + 1000, accessOf: () => 'both' },
    isOnlyMigratable: false,
    deadlines: { connectMs: 1000, stallMs: 1000, handoverMs: 1000, advanceMs: 10_000 },
    startPaused: false,
    incoming: false,
    keepListening: false,
    overrides: { parameters: {}, capabilities: [] },
    exitProcess: () => {
      exits.count += 1;
    },
    report: (fault) => {
      faults.push(fault);
    },
    note: (message, details, level = 'info') => {
      notes.push({ message, details, level });
    },
    ...given,
    store,
    hypervisor: embeddedHypervisor({ machine, engine, blocks, deviceFiles, fileRoot }),
    clock: time,
    schedule: time.schedule,
    nextTurn,
  });
  domain.settings.setCapabilities(['events', ...capabilities].map((capability) => ({ capability, state: true })));
  return {
    domain,
    engine,
    machine,
    blocks,
    time,
    store,
    faults,
    notes,
    exits,
    events: () => domain.events.since(0, 1000).map(({ name, data }) => [name, ...told(name, data)].join(' ')),
    outgoing: () => engine.outgoing.at(-1)!,
    incoming: () => engine.incoming.at(-1)!,
  };
}

/** The values of an event's data, without the id of a migration and the details of a panic. */
function told(name: string, data: Readonly<Record<string, unknown>> | null): unknown[] {
  const left = name.startsWith('MIGRATION') ? 'id' : 'panic';
  return Object.entries(data ?? {}).flatMap(([member, value]) => (member === left ? [] : [value]));
}
