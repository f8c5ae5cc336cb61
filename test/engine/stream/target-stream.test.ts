import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { IncomingPlan } from '../../../src/engine/transfer-engine.ts';
import { readStreamFixture, streamFixtureNames } from '../../helpers/qemu/fixtures.ts';
import { blockBytes, imagePlan, read, SmallMachine, smallParts, smallStream, UUID } from './reading.ts';
import { configuration, full, PAGE, page, pattern, ramPart, subsection } from './stream-builder.ts';
import { WRONG, WRONG_FOR_KNOWN } from './wrong-streams.ts';

const NOT_DONE = { 'pc-10.0-ignore-shared': 'capability_differs', 'pc-10.0-xbzrle': 'ram_record_broken' } as const;
const small = new SmallMachine();
const KINDS: readonly [string, () => IncomingPlan][] = [
  ['a machine with known devices', () => small.plan()],
  ['an image', () => imagePlan()],
];

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('a recorded stream of QEMU', () => {
  it.each(streamFixtureNames().filter((name) => !(name in NOT_DONE)))('%s is read completely and correctly', (name) => {
    const { stream, facts } = readStreamFixture(name);
    const { loaded, error } = read(stream, imagePlan());

    expect(error).toBeNull();
    if (loaded?.state.form !== 'image') throw new Error('no image was loaded');
    const block = loaded.state.memory.blocks.find((candidate) => candidate.name === 'pc.ram');
    expect(block?.bytes).toBe(facts.ramBytes);
    const ram = blockBytes(loaded.state.memory, 'pc.ram');
    expect(sha256(ram.subarray(0, 0xa0000))).toBe(facts.lowMemorySha256);
    expect(sha256(ram.subarray(0x100000))).toBe(facts.highMemorySha256);
    expect(loaded.globalState).toBe(name === 'pc-10.0-stopped' ? 'paused' : 'running');
    expect(loaded.state.image.sections.at(-1)?.idstr).toBe('globalstate');
    expect(loaded.state.image.vmDescription === null).toBe(name === 'pc-10.0-no-vmdesc');
  });

  it.each(Object.entries(NOT_DONE))('%s is refused with the name of the capability that it needs', (name, code) => {
    const { loaded, error } = read(readStreamFixture(name).stream, imagePlan());

    expect(loaded).toBeNull();
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(/x-ignore-shared|xbzrle/);
  });
});

describe('a hand-made stream', () => {
  it('fills the memory and the devices of a known machine', () => {
    const { loaded, commands } = read(smallStream(), small.plan());

    expect(loaded?.globalState).toBe('running');
    if (loaded?.state.form !== 'devices') throw new Error('no devices were loaded');
    expect(loaded.state.bodies.map((body) => Buffer.from(body).toString('hex'))).toEqual([
      '00000000000000ff',
      'ab'.repeat(21),
    ]);
    const ram = blockBytes(small.memory, 'small.ram');
    expect(ram.subarray(0, PAGE).equals(pattern(1))).toBe(true);
    expect(ram.subarray(2 * PAGE, 3 * PAGE).equals(pattern(2))).toBe(true);
    expect(ram.subarray(7 * PAGE).equals(pattern(3))).toBe(true);
    expect(ram.subarray(3 * PAGE, 7 * PAGE).every((byte) => byte === 0)).toBe(true);
    expect(commands).toEqual([{ name: 'switchover-start' }]);
  });

  it('clears memory that an earlier stream has filled', () => {
    read(
      smallStream({ description: Buffer.alloc(0), ramPart: ramPart(2, 2, page(PAGE, pattern(9), 'small.ram')) }),
      small.plan(),
    );
    expect(
      blockBytes(small.memory, 'small.ram')
        .subarray(PAGE, 2 * PAGE)
        .equals(pattern(9)),
    ).toBe(true);

    read(smallStream(), small.plan());

    expect(
      blockBytes(small.memory, 'small.ram')
        .subarray(PAGE, 2 * PAGE)
        .every((byte) => byte === 0),
    ).toBe(true);
  });

  it('becomes an image with its sections, its run state and its description', () => {
    const early = full({ id: 9, idstr: 'virtio-mem', version: 1 }, Buffer.from('early'));
    const { loaded } = read(
      smallStream({ configuration: Buffer.concat([smallParts().configuration, early]) }),
      imagePlan(),
    );

    if (loaded?.state.form !== 'image') throw new Error('no image was loaded');
    const { image, machineName } = loaded.state;
    expect(machineName).toBe('small-1.0');
    expect(image.switchoverStart).toBe(true);
    expect(image.ramSectionId).toBe(2);
    expect(image.earlySections.map(({ idstr, body }) => [idstr, Buffer.from(body).toString()])).toEqual([
      ['virtio-mem', 'early'],
    ]);
    expect(image.sections.map(({ idstr, instanceId, sectionId }) => [idstr, instanceId, sectionId])).toEqual([
      ['clock', 0, 3],
      ['port', 3, 4],
      ['globalstate', 0, 5],
    ]);
    expect(Buffer.from(image.vmDescription ?? []).equals(smallParts().description.subarray(5))).toBe(true);
  });
});

describe.each(KINDS)('a broken stream into %s', (_kind, plan) => {
  it.each(WRONG)('is refused for %s', (_what, change, code, words) => {
    const bytes = smallStream(change);
    const before = read(bytes, plan());

    expect([before.error?.code, before.loaded]).toEqual([code, null]);
    expect(before.error?.message).toMatch(words);
    expect(before.error?.message).toMatch(/\(at byte \d+ of the stream\)$/);
    expect(read(smallStream(), plan()).loaded).not.toBeNull();
  });
});

describe('a machine with known devices', () => {
  it.each(WRONG_FOR_KNOWN)('refuses a stream that has %s', (_what, change, code, words) => {
    const { error, loaded } = read(smallStream(change), small.plan());

    expect([error?.code, loaded]).toEqual([code, null]);
    expect(error?.message).toMatch(words);
  });

  it('takes a stream with its own uuid', () => {
    const own = Buffer.from(UUID.replaceAll('-', ''), 'hex');
    const change = { configuration: configuration('small-1.0', subsection('configuration/uuid', own)) };

    expect(read(smallStream(change), small.plan(['validate-uuid'])).error).toBeNull();
  });
});
