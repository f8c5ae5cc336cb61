import type { BlockNodes, LoadTask } from '../domain/ports/block-nodes.ts';
import type { DeviceSaving, Hypervisor } from '../domain/ports/hypervisor.ts';
import type {
  IncomingRequest,
  IncomingSession,
  KeptListener,
  LoadedGuest,
  TransferListener,
} from '../domain/ports/migration-session.ts';
import type { DeviceFiles } from '../engine/channels/device-files.ts';
import type { LoadedMachine, TransferSource } from '../engine/memory/machine-state.ts';
import type { BlockEngine } from '../engine/snapshot/block-messages.ts';
import type { EngineListener, IncomingPlan, IncomingTransfer, TransferEngine } from '../engine/transfer-engine.ts';
import type { EmbeddedMachine } from '../machine/embedded-machine.ts';

export type EmbeddedParts = {
  readonly machine: EmbeddedMachine;
  readonly engine: TransferEngine;
  readonly blocks: BlockEngine;
  readonly deviceFiles: DeviceFiles;
  /** Absolute path of the directory that contains all files of file: addresses. */
  readonly fileRoot: string;
};

/** The hypervisor of a machine inside this process: machine, transfer engine and block thread behind one port. */
export function embeddedHypervisor(parts: EmbeddedParts): Hypervisor {
  const { machine, engine, deviceFiles, fileRoot } = parts;
  const sessions = new IncomingSessions(parts);
  return {
    kind: machine.kind,
    canRun: machine.canRun,
    get isLoaded() {
      return machine.isLoaded;
    },
    hold: (reason) => machine.hold(reason),
    release: (reason) => machine.release(reason),
    isHeldFor: (reason) => machine.isHeldFor(reason),
    describe: () => machine.describe(),
    clockNs: () => machine.clockNs(),
    console: () => machine.console(),
    setWorkload: (change) => machine.setWorkload(change),
    onPanic: (listener) => machine.onPanic(listener),
    dirty: machine.dirty,
    blocks: embeddedBlocks(parts),
    startOutgoing: ({ address, ...request }, listener) => {
      const plan = { ...request, channels: { main: address }, fileRoot, source: machine.transferSource() };
      return engine.startOutgoing(plan, listener);
    },
    startIncoming: (request, listener) => sessions.start(request, listener),
    refusalOfLink: (path) => deviceFiles.refusalOfLink({ fileRoot, path }),
    saveDevices: (path) => saveDevices(parts, path),
    loadDevices: async (path) => guestOf(machine, await deviceFiles.read({ fileRoot, path }, machine.transferSource())),
  };
}

function guestOf(machine: EmbeddedMachine, loaded: LoadedMachine): LoadedGuest {
  return { globalState: loaded.globalState, adopt: () => machine.adopt(loaded) };
}

/** Saves the device state. The state is copied before this function returns, so the guest may run again then. */
function saveDevices({ machine, deviceFiles, fileRoot }: EmbeddedParts, path: string): DeviceSaving {
  const { bytes, sections } = deviceFiles.encode(machine.transferSource());
  const written = deviceFiles.write({ fileRoot, path }, bytes).then(() => ({ bytes: bytes.length, sections }));
  return { captured: Promise.resolve(), written };
}

/** Incoming migrations. The engine loads a guest, and then the machine adopts it. */
class IncomingSessions {
  readonly #parts: EmbeddedParts;

  constructor(parts: EmbeddedParts) {
    this.#parts = parts;
  }

  start(request: IncomingRequest, listener: TransferListener): IncomingSession {
    return this.#session(this.#parts.engine.startIncoming(this.#planFor(request), listener));
  }

  #planFor({ address, ...request }: IncomingRequest): IncomingPlan {
    const { machine, fileRoot } = this.#parts;
    return { ...request, channels: { main: address }, fileRoot, target: machine.transferTarget() };
  }

  #session(transfer: IncomingTransfer): IncomingSession {
    const loaded = transfer.loaded.then((machine) => guestOf(this.#parts.machine, machine));
    // `ended` reports why no guest was loaded.
    loaded.catch(() => {});
    return {
      status: transfer.status,
      countFrom: (agoMs) => transfer.countFrom(agoMs),
      figures: () => transfer.figures(),
      threadId: () => transfer.threadId(),
      listening: transfer.listening,
      loaded,
      get isOpen() {
        return transfer.isOpen;
      },
      started: () => transfer.started(),
      refused: (error) => transfer.refused(error),
      setCapabilities: (capabilities) => transfer.setCapabilities(capabilities),
      abort: () => transfer.abort(),
      cancel: () => transfer.cancel(),
      stopListening: () => transfer.stopListening(),
      ended: transfer.ended.then((end) => ({ ...end, listener: this.#kept(end.listener) })),
    };
  }

  #kept(listener: EngineListener | null): KeptListener | null {
    if (listener === null) return null;
    return {
      next: (request, events) => this.#session(listener.next(this.#planFor(request), events)),
      close: () => listener.close(),
    };
  }
}

/** The nodes of the block engine. A save copies the device state of the machine; the machine adopts a load. */
function embeddedBlocks({ machine, blocks }: EmbeddedParts): BlockNodes {
  return {
    get isActive() {
      return blocks.isActive;
    },
    activate: () => blocks.activate(),
    deactivate: () => blocks.deactivate(),
    nodes: () => blocks.nodes(),
    onChange: (listener) => blocks.onChange(listener),
    save: (order) => blocks.save({ ...order, source: copiedSource(machine.transferSource()) }),
    load: (order) => {
      const task = blocks.load({ ...order, target: machine.loadTarget() });
      return loadOf(machine, task);
    },
    delete: (plan) => blocks.delete(plan),
    rename: (plan) => blocks.rename(plan),
    verify: (plan) => blocks.verify(plan),
    compact: (plan) => blocks.compact(plan),
    digests: (plan) => blocks.digests(plan),
    applyDisks: (plan) => blocks.applyDisks(plan),
  };
}

/** A task that loads a snapshot. At its end, successful or not, the machine gets back the memory that the task used. */
function loadOf(machine: EmbeddedMachine, task: ReturnType<BlockEngine['load']>): LoadTask {
  const loaded = task.loaded.then((state) => guestOf(machine, state));
  // `ended` rejects with the same error.
  loaded.catch(() => {});
  return {
    progress: () => task.progress(),
    pause: () => task.pause(),
    resume: () => task.resume(),
    cancel: () => task.cancel(),
    apply: () => task.apply(),
    revert: () => task.revert(),
    release: () => task.release(),
    loaded,
    ended: task.ended.finally(() => machine.discardLoadTarget()),
  };
}

/**
 * A source with copies of its devices. The workload can change on this thread while the guest is stopped, and the block
 * thread must not read a half-finished change.
 */
export function copiedSource(source: TransferSource): TransferSource {
  if (source.state.form !== 'devices') return source;
  const devices = source.state.devices.map((device) => ({ ...device, body: copyOf(device.body) }));
  return { ...source, state: { form: 'devices', devices } };
}

function copyOf(body: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(body.length));
  copy.set(body);
  return copy;
}
