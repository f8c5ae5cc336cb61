import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SharedStatus } from '../../../src/domain/migration/migration-status.ts';
import { TargetMigration } from '../../../src/engine/phases/target.ts';
import type { FromWorker } from '../../../src/engine/session/transfer-messages.ts';
import { FigureBlock } from '../../../src/engine/shared/figures.ts';
import { Heartbeat } from '../../../src/engine/shared/heartbeat.ts';
import { LiveParameterCells } from '../../../src/engine/shared/live-parameters.ts';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';

/** A target in this thread that listens on a unix socket, and its messages so far. */
async function startTarget() {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-target-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'in.sock');
  const status = new SharedStatus();
  status.transition('none', 'setup');
  const cells = {
    status: status.buffer,
    figures: new FigureBlock().buffer,
    live: new LiveParameterCells().buffer,
    heartbeat: new Heartbeat().buffer,
  };
  const plan = {
    channels: { main: { transport: 'unix', path } as const },
    fileRoot: directory,
    target: { form: 'image', ramBytesMax: 2 ** 30 } as const,
    capabilities: [],
    deadlines: { connectMs: 5000, stallMs: 5000, handoverMs: 5000, advanceMs: 5000 },
    uuid: '',
    keepListening: false,
  };
  const waiting = new Map<string, () => void>();
  const told = (type: FromWorker['type']) => new Promise<void>((resolve) => void waiting.set(type, resolve));
  const target = new TargetMigration({ plan, cells }, (message) => waiting.get(message.type)?.());
  const listening = told('listening');
  const ended = target.run();
  await listening;
  return { target, status, path, ended, told };
}

test('bytes after a complete stream have no effect while the machine is adopted', async () => {
  const { target, status, path, ended, told } = await startTarget();
  const loaded = told('loaded');
  const sender = net.connect(path, () => sender.write(readStreamFixture('pc-10.0').stream));
  sender.on('error', () => {});
  onTestFinished(() => void sender.destroy());
  await loaded;
  await new Promise<void>((resolve) => sender.write('x', () => resolve()));
  await new Promise((resolve) => setImmediate(resolve));
  expect(status.transition('active', 'completed')).toBe(true);
  target.started();
  expect(await ended).toMatchObject({ status: 'completed', error: null, guest: 'here' });
});

test('a target cannot fail after its guest runs', async () => {
  const { target, status, path, ended, told } = await startTarget();
  const loaded = told('loaded');
  const sender = net.connect(path, () => sender.write(readStreamFixture('pc-10.0').stream));
  sender.on('error', () => {});
  onTestFinished(() => void sender.destroy());
  await loaded;
  expect(status.transition('active', 'completed')).toBe(true);
  target.refused({ code: 'incoming_aborted', message: 'too late' });
  expect(status.read()).toBe('completed');
  target.started();
  expect(await ended).toMatchObject({ status: 'completed' });
});

test('a machine is offered once, and the source is informed only after its start', async () => {
  const { target, status, path, ended, told } = await startTarget();
  const loaded = told('loaded');
  const sender = net.connect(path, () => sender.write(readStreamFixture('pc-10.0').stream));
  onTestFinished(() => void sender.destroy());
  const closed = new Promise<void>((resolve) => sender.on('end', resolve).resume());
  // Nothing can be started before a machine was loaded.
  target.started();
  await loaded;
  expect(status.read()).toBe('active');
  const first = await Promise.race([
    closed.then(() => 'closed'),
    new Promise((resolve) => setImmediate(resolve, 'open')),
  ]);
  expect(first).toBe('open');
  status.transition('active', 'completed');
  target.started();
  expect(await ended).toMatchObject({ status: 'completed', error: null, guest: 'here' });
  await closed;
});

test('a machine that is refused after its offer stays at the source, and the connection is reset', async () => {
  const { target, status, path, ended, told } = await startTarget();
  const loaded = told('loaded');
  const sender = net.connect(path, () => sender.write(readStreamFixture('pc-10.0').stream));
  onTestFinished(() => void sender.destroy());
  const broken = new Promise<unknown>((resolve) => {
    sender.on('error', resolve);
    sender.on('close', resolve);
  });
  await loaded;
  const error = { code: 'incoming_aborted', message: 'not wanted' } as const;
  target.refused(error);
  expect(await ended).toEqual({ status: 'failed', error, guest: 'there' });
  expect(status.read()).toBe('failed');
  await broken;
  // The message of the main thread comes too late.
  target.started();
  expect(status.read()).toBe('failed');
});

test('a wait that the main thread has ended is cancelled, and the connection of a sender at that moment is reset', async () => {
  const { target, status, path, ended } = await startTarget();
  expect(status.transition('setup', 'cancelling')).toBe(true);
  const sender = net.connect(path, () => sender.write(readStreamFixture('pc-10.0').stream));
  onTestFinished(() => void sender.destroy());
  await new Promise<unknown>((resolve) => {
    sender.on('error', resolve);
    sender.on('close', resolve);
  });
  target.abort();
  expect(await ended).toEqual({ status: 'cancelled', error: null, guest: 'there' });
  expect(target.kept).toBeNull();
});
