import type { LoadedMachine } from '../../memory/machine-state.ts';
import { PopulateAhead } from '../../memory/populate-ahead.ts';
import { StreamError } from '../../stream/byte-reader.ts';
import { type ExpectedMachine, TargetStream } from '../../stream/target-stream.ts';
import { SnapshotFailure } from '../snapshot-failure.ts';
import { checkedStream } from './checked-stream.ts';
import type { DamageList } from './damage-list.ts';
import { InputWindow } from './input-window.ts';
import { fileOffsetOf, type StoredSnapshot } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/** What a stream may be read into, and what is told of damage on the way. */
export type Reading = {
  readonly stored: StoredSnapshot;
  readonly expected: ExpectedMachine;
  readonly damage: DamageList;
  readonly control: TaskControl;
};

/**
 * Reads a snapshot's VM state as a stream. Nothing takes effect but the target's memory, which is nobody's yet.
 * @returns the machine; null if the stream is damaged, which has been told then.
 * @throws SnapshotFailure with the stream's own code if it is whole and does not suit `expected`.
 */
export async function readMachine(reading: Reading): Promise<LoadedMachine | null> {
  const { stored, expected, damage, control } = reading;
  const window = new InputWindow();
  const stream = new TargetStream(expected, () => {}, window);
  const populate = new PopulateAhead();
  let fed = 0;
  try {
    for await (const { read, position, bytes } of checkedStream(stored, { damage, control }, window)) {
      // Behind a gap nothing can be told apart; the rest is only checked.
      if (position !== fed) continue;
      window.filled(read, bytes);
      stream.advance();
      populate.follow(stream.memory, stream.pages);
      fed += bytes.length;
    }
    if (fed !== stored.reader.snapshot.vmStateBytes) return null;
    stream.end();
  } catch (error) {
    if (!(error instanceof StreamError)) throw error;
    await streamFault(reading, error);
  } finally {
    await populate.idle();
  }
  return stream.loaded;
}

/** With digests the stream is as it was stored: then it does not suit this machine. Without, it may be damaged. */
async function streamFault({ stored, damage }: Reading, error: StreamError): Promise<void> {
  if (stored.manifest !== null || UNSUITABLE.has(error.code)) {
    throw new SnapshotFailure(error.code, `Node '${stored.node}': ${error.message}.`);
  }
  const { node, reader } = stored;
  const offset = error.position ?? 0;
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfVmState(offset));
  damage.add({ node, ramBlock: null, area: 'vm-state', offset, bytes: 1, fileOffset }, error.message);
}

/** A stream in order, of another machine than this one. */
const UNSUITABLE: ReadonlySet<string> = new Set([
  'capability_differs',
  'command_not_available',
  'machine_differs',
  'page_size_differs',
  'ram_block_length',
  'ram_block_missing',
  'ram_block_unknown',
  'ram_too_large',
  'section_missing',
  'section_unknown',
  'section_version',
  'uuid_differs',
]);
