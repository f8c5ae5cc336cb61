// A sender that never ends occupied a target forever: complete elements without new data counted as progress. The
// target queued the answers to pings that the sender did not read until the heap of its worker was full
// (test/soak/endless-sender.test.ts). No command disconnected such a sender.

import net from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { encodeConfiguration, encodeHeader } from '../../src/engine/stream/configuration.ts';
import { RAM_FLAG, RAM_SECTION } from '../../src/engine/stream/constants.ts';
import { encodeRamSetup } from '../../src/engine/stream/ram-setup.ts';
import {
  encodeCommand,
  encodeFooter,
  encodeSectionHead,
  encodeSectionPart,
} from '../../src/engine/stream/stream-elements.ts';
import { localService, type Service } from '../helpers/guest-service.ts';

const RAM_BYTES = 2 ** 20;
const ID = 2;
const BEGINNING = Buffer.concat([
  encodeHeader(),
  encodeConfiguration('pc', new Uint8Array()),
  encodeCommand({ name: 'open-return-path' }),
  encodeSectionHead('start', { sectionId: ID, ...RAM_SECTION }),
  encodeRamSetup([{ name: 'pc.ram', bytes: RAM_BYTES }]),
  encodeFooter(ID),
]);

function word(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

function part(...records: Uint8Array[]): Buffer {
  return Buffer.concat([encodeSectionPart('part', ID), ...records, word(RAM_FLAG.eos), encodeFooter(ID)]);
}

const FIRST_PAGE = Buffer.concat([word(RAM_FLAG.zero), Buffer.from('\x06pc.ram\0', 'latin1')]);
const PING = Buffer.from(encodeCommand({ name: 'ping', value: 7 }));
const ENDLESS = { 'empty parts': part(), 'one page again and again': part(FIRST_PAGE), pings: PING };

/** Sends the beginning of a stream, then one element after the other for as long as the target takes them. */
async function send(target: Service, element: Uint8Array): Promise<void> {
  const socket = net.connect(Number((await target.incomingUri()).split(':').at(-1)), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  socket.resume();
  socket.write(BEGINNING);
  const timer = setInterval(() => socket.writableNeedDrain || socket.write(element), 5);
  onTestFinished(() => clearInterval(timer));
}

function imageTarget(deadlines: { readonly advanceMs?: number }): Promise<Service> {
  return localService(['--machine', 'image', '--incoming', 'tcp:127.0.0.1:0'], { deadlines });
}

describe('a target', () => {
  test.each(Object.entries(ENDLESS))('disconnects a sender that sends %s', async (_what, element) => {
    const target = await imageTarget({ advanceMs: 300 });
    await send(target, element);
    const row = await target.ended();
    expect(row).toMatchObject({ status: 'failed', guest: 'there', error: { code: 'deadline_exceeded' } });
    expect(row.error?.desc).toContain('nothing new came');
    expect(await target.runState()).toBe('inmigrate');
  });

  test('disconnects a sender at a cancel, accepts the next sender, and has nothing to cancel without one', async () => {
    const target = await imageTarget({});
    expect(await target.cancel()).toBe('nothing-to-cancel');
    await send(target, ENDLESS['empty parts']);
    await target.untilStatus('active');
    expect(await Promise.all([target.cancel(), target.cancel()])).toEqual(['cancelled', 'cancelled']);
    expect(await target.ended()).toMatchObject({
      status: 'failed',
      guest: 'there',
      error: { code: 'incoming_aborted' },
    });
    expect(await target.cancel()).toBe('nothing-to-cancel');
    await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await target.untilStatus('setup');
  });
});
