// With the capability `background-snapshot` QEMU writes no END of the ram section: the device sections follow the
// last PART. The reader required the END. It treated the first device section as one of those before RAM, and
// searched for its end until the end of the stream (`stream_truncated`).

import { describe, expect, it } from 'vitest';
import { blockBytes, imagePlan, read, smallParts, smallStream } from '../engine/stream/reading.ts';
import { full, PAGE, page, pattern, ramPart } from '../engine/stream/stream-builder.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';

const SWITCHOVER_START = Buffer.from('08000b0000', 'hex');

/** A recorded stream as the same QEMU writes it with `background-snapshot` on. */
function asBackgroundSnapshot(name: string): Buffer {
  const { stream } = readStreamFixture(name);
  const at = stream.indexOf(SWITCHOVER_START);
  const end = stream[at + SWITCHOVER_START.length];
  expect(end).toBe(3);
  const rest = Buffer.from(stream.subarray(at + SWITCHOVER_START.length));
  rest[0] = 2;
  return Buffer.concat([stream.subarray(0, at), rest]);
}

describe('a stream without an END of the RAM section', () => {
  it.each(['pc-10.0', 'q35-10.0', 'pc-10.0-no-vmdesc'])('%s gives the same machine as with END', (name) => {
    const expected = read(readStreamFixture(name).stream, imagePlan()).loaded;
    const { loaded, error } = read(asBackgroundSnapshot(name), imagePlan(), [65_537, 4099]);

    expect(error).toBeNull();
    if (loaded?.state.form !== 'image' || expected?.state.form !== 'image') throw new Error('no image was loaded');
    expect(loaded.globalState).toBe(expected.globalState);
    expect(loaded.state.image).toEqual({ ...expected.state.image, switchoverStart: false });
    for (const { name: block } of expected.state.memory.blocks) {
      expect(blockBytes(loaded.state.memory, block).equals(blockBytes(expected.state.memory, block))).toBe(true);
    }
  });

  it('is accepted with its pages in any order, and keeps devices before RAM apart from devices after it', () => {
    const early = full({ id: 9, idstr: 'virtio-mem' }, Buffer.from('early'));
    const { loaded, error } = read(
      smallStream({
        configuration: Buffer.concat([smallParts().configuration, early]),
        ramPart: ramPart(
          2,
          2,
          page(5 * PAGE, pattern(5), 'small.ram'),
          page(0, pattern(1)),
          page(2 * PAGE, pattern(2)),
        ),
        switchover: Buffer.alloc(0),
        ramEnd: ramPart(2, 2),
      }),
      imagePlan(),
    );

    expect(error).toBeNull();
    if (loaded?.state.form !== 'image') throw new Error('no image was loaded');
    expect(loaded.state.image.earlySections.map(({ idstr }) => idstr)).toEqual(['virtio-mem']);
    expect(loaded.state.image.sections.map(({ idstr }) => idstr)).toEqual(['clock', 'port', 'globalstate']);
  });

  it('is refused if it is cut off, or if RAM continues after a device', () => {
    const stream = asBackgroundSnapshot('pc-10.0');
    for (const left of [200, 5000, 60_000]) {
      const { error } = read(stream.subarray(0, stream.length - left), imagePlan());
      expect(error?.code).toBe('stream_truncated');
    }
    for (const pieces of [[2 ** 20], [1], [3, 70]]) {
      const { error } = read(smallStream({ switchover: smallParts().clock }), imagePlan(), pieces);
      expect(error?.code).toBe('section_order');
    }
  });
});
