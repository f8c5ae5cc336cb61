/* Reads streams in this thread, in pieces of any size, into an image or into a machine with known devices. */

import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import type {
  GuestMemory,
  LoadedMachine,
  TransferDevice,
  TransferTarget,
} from '../../../src/engine/memory/machine-state.ts';
import { InputBuffer } from '../../../src/engine/pages/input-buffer.ts';
import { StreamError } from '../../../src/engine/stream/bytes.ts';
import type { StreamCommand } from '../../../src/engine/stream/stream-elements.ts';
import { TargetStream } from '../../../src/engine/stream/target-stream.ts';
import type { IncomingPlan } from '../../../src/engine/transfer-engine.ts';
import {
  configuration,
  description,
  EOF,
  full,
  globalState,
  magic,
  PAGE,
  page,
  pattern,
  ramPart,
  ramStart,
  zero,
} from './stream-builder.ts';

export const UUID = '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab';
export const RAM_BYTES_MAX = 64 * 2 ** 20;
/** One reader works at a time, and to make these 2 MiB takes longer than to read a small stream. */
const FIRST_BYTES = InputBuffer.firstBytes();

export function planFor(target: TransferTarget, capabilities: readonly string[] = []): IncomingPlan {
  return {
    channels: { main: { transport: 'tcp', host: '127.0.0.1', port: 0 } },
    fileRoot: '/nonexistent',
    target,
    capabilities,
    deadlines: { connectMs: 1000, stallMs: 1000, handoverMs: 1000, advanceMs: 10_000 },
    uuid: UUID,
    keepListening: false,
  };
}

export function imagePlan(capabilities: readonly string[] = []): IncomingPlan {
  return planFor({ form: 'image', ramBytesMax: RAM_BYTES_MAX }, capabilities);
}

/** A machine with two devices and eight pages of RAM, with reusable memory. */
export class SmallMachine {
  readonly memory: GuestMemory = createGuestMemory([{ name: 'small.ram', bytes: 8 * PAGE }]);
  readonly devices: readonly TransferDevice[] = [
    {
      idstr: 'clock',
      instanceId: 0,
      versionId: 1,
      fields: [{ name: 'ticks', type: 'uint64', bytes: 8 }],
      body: shared(8),
    },
    {
      idstr: 'port',
      instanceId: 3,
      versionId: 2,
      fields: [
        { name: 'mode', type: 'uint8', bytes: 1 },
        { name: 'ring', type: 'buffer', bytes: 20 },
      ],
      body: shared(21),
    },
  ];

  plan(capabilities: readonly string[] = []): IncomingPlan {
    const { memory, devices } = this;
    return planFor({ form: 'devices', machineName: 'small-1.0', memory, devices }, capabilities);
  }
}

function shared(bytes: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(bytes));
}

const DESCRIPTION = {
  page_size: PAGE,
  devices: [
    {
      name: 'clock',
      instance_id: 0,
      vmsd_name: 'clock',
      version: 1,
      fields: [{ name: 'ticks', type: 'uint64', size: 8 }],
    },
    {
      name: 'port',
      instance_id: 3,
      vmsd_name: 'port',
      version: 2,
      fields: [{ name: 'all', type: 'buffer', size: 21 }],
    },
    {
      name: 'globalstate',
      instance_id: 0,
      vmsd_name: 'g',
      version: 1,
      fields: [{ name: 'b', type: 'buffer', size: 104 }],
    },
  ],
};

/** The parts of a valid stream for a SmallMachine, which a test can replace. */
export function smallParts() {
  return {
    magic: magic(),
    configuration: configuration('small-1.0'),
    ramStart: ramStart(2, [{ name: 'small.ram', bytes: 8 * PAGE }]),
    ramPart: ramPart(2, 2, page(0, pattern(1), 'small.ram'), zero(PAGE), page(2 * PAGE, pattern(2))),
    switchover: Buffer.from('08000b0000', 'hex'),
    ramEnd: ramPart(3, 2, page(7 * PAGE, pattern(3)), zero(3 * PAGE)),
    clock: full({ id: 3, idstr: 'clock' }, Buffer.from('00000000000000ff', 'hex')),
    port: full({ id: 4, idstr: 'port', instance: 3, version: 2 }, Buffer.alloc(21, 0xab)),
    globalState: globalState(5),
    eof: EOF,
    description: description(DESCRIPTION),
  };
}

export type SmallParts = ReturnType<typeof smallParts>;

export function smallStream(changes: Partial<Record<keyof SmallParts, Buffer>> = {}): Buffer {
  return Buffer.concat(Object.values({ ...smallParts(), ...changes }));
}

export type Read = {
  readonly loaded: LoadedMachine | null;
  /** The StreamError that ended the read, or null. Other errors are rethrown. */
  readonly error: StreamError | null;
  readonly commands: readonly StreamCommand[];
  readonly stream: TargetStream;
};

/** Reads a whole stream, in pieces of these sizes in turn, then its end. */
export function read(bytes: Uint8Array, plan: IncomingPlan, pieces: readonly number[] = [2 ** 20]): Read {
  const commands: StreamCommand[] = [];
  const stream = new TargetStream(plan, (command) => commands.push(command), new InputBuffer(FIRST_BYTES));
  let error: StreamError | null = null;
  try {
    feed(stream, bytes, pieces);
    stream.end();
  } catch (thrown) {
    if (!(thrown instanceof StreamError)) throw thrown;
    error = thrown;
  }
  return { loaded: error === null ? stream.loaded : null, error, commands, stream };
}

export function feed(stream: TargetStream, bytes: Uint8Array, pieces: readonly number[]): void {
  let turn = 0;
  for (let from = 0; from < bytes.length; ) {
    if (stream.loaded !== null) throw new StreamError('data_after_end', 'bytes follow the end of the stream');
    const room = stream.input.room();
    if (room.length === 0) throw new Error('the input buffer is full and nothing is taken from it');
    const count = Math.min(room.length, pieces[turn++ % pieces.length] ?? 1, bytes.length - from);
    room.set(bytes.subarray(from, from + count));
    from += count;
    stream.input.received(count);
    stream.advance();
  }
}

/** The bytes of a RAM block, in one piece. */
export function blockBytes(memory: GuestMemory, name: string): Buffer {
  const block = memory.blocks.find((candidate) => candidate.name === name);
  if (block === undefined) throw new Error(`there is no block ${name}`);
  const parts = block.extents.map(({ segment, address, bytes }) => {
    const { buffer } = memory.segments[segment] as WebAssembly.Memory;
    return Buffer.from(Buffer.from(buffer as unknown as ArrayBuffer, address, bytes));
  });
  return Buffer.concat(parts);
}
