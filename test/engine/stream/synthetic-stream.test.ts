// A stream of a synthetic guest in a file can be read by any program that knows QEMU's format and nothing of this
// service.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';
import { startService } from '../../helpers/service.ts';
import { StreamWalker, type WalkedSection } from '../../helpers/stream-walker.ts';

const RAM_BYTES = 2 * 2 ** 20;

async function savedStream(
  ...flags: readonly string[]
): Promise<{ walked: StreamWalker; ticks: number; bytes: Buffer }> {
  const workload = ['--workload', 'rate=1M,span=1M,pattern=random'];
  const service = await startService(['--ram', '2M', '--vcpus', '2', ...workload, ...flags]);
  const row = await service.send('file:guest.bin');
  expect(row.status, JSON.stringify(row)).toBe('completed');
  const machine = (await service.get('/machine')).json as { ticks: number };
  const bytes = readFileSync(join(service.dataDirectory, 'files', 'guest.bin'));
  return { walked: new StreamWalker(bytes), ticks: machine.ticks, bytes };
}

function fieldOf(section: WalkedSection | undefined, name: string): Buffer {
  const field = section?.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`there is no field ${name}`);
  return field.bytes;
}

describe('a saved stream of a synthetic guest', () => {
  it('can be parsed by its description: configuration, RAM and every field of every device', async () => {
    const { walked, ticks } = await savedStream();

    expect(walked.configuration.map(({ bytes }) => bytes.toString('latin1'))).toEqual([
      '\0\0\0\x15',
      'vmferry-synthetic-1.0',
    ]);
    expect(walked.description.page_size).toBe(4096);
    expect(walked.commands).toEqual([11]);
    expect([...walked.blocks].map(([name, block]) => [name, block.length])).toEqual([['ferry.ram', RAM_BYTES]]);
    expect(walked.blocks.get('ferry.ram')?.some((byte) => byte !== 0)).toBe(true);
    expect(walked.sections.map(({ idstr, instanceId, versionId }) => [idstr, instanceId, versionId])).toEqual([
      ['ferry-workload', 0, 1],
      ['ferry-timer', 0, 1],
      ['ferry-console', 0, 1],
      ['ferry-disk', 0, 1],
      ['ferry-panic', 0, 1],
      ['ferry-vcpu', 0, 1],
      ['ferry-vcpu', 1, 1],
      ['globalstate', 0, 1],
    ]);
    const [workload, timer] = walked.sections;
    expect(Number(fieldOf(workload, 'rate').readBigUInt64BE())).toBe(2 ** 20);
    expect(Number(fieldOf(timer, 'ticks').readBigUInt64BE())).toBe(ticks);
    expect(fieldOf(walked.sections.at(-1), 'runstate').toString('latin1')).toMatch(/^running\0+$/);
  });

  it('can be parsed with a uuid in its configuration', async () => {
    const uuid = '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab';
    const { walked } = await savedStream('--enable', 'validate-uuid', '--uuid', uuid);

    expect(walked.configuration.at(-1)?.bytes.toString('hex')).toBe(uuid.replaceAll('-', ''));
    expect(walked.sections.length).toBe(8);
  });

  it('has the run state paused if the guest was paused', async () => {
    const { walked } = await savedStream('--paused');

    expect(fieldOf(walked.sections.at(-1), 'runstate').toString('latin1')).toMatch(/^paused\0+$/);
  });
});

describe('the parser of these tests', () => {
  it.each(['isapc-10.0', 'pc-10.0-stopped'])('parses the recorded stream %s of QEMU', (name) => {
    const { stream, facts } = readStreamFixture(name);
    const walked = new StreamWalker(stream);

    expect(walked.blocks.get('pc.ram')?.length).toBe(facts.ramBytes);
    expect(walked.sections.at(-1)?.idstr).toBe('globalstate');
  });
});
