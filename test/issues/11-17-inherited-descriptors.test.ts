// A `net.Socket` on a descriptor starts to read at once. The bytes that it had read were lost when its handle was
// given to another socket, so a target missed the beginning of a stream. A pipe was opened for both directions
// (ENOTCONN) and shut down as a socket. No test opened an `fd:` address. QEMU accepts TCP sockets, unix sockets and
// pipes.
// QEMU scenario: /migration/precopy/fd/tcp

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, { constants } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { describe, expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { busyService } from '../helpers/closing-peer.ts';
import { testInSoak } from '../helpers/combinations.ts';
import { descriptorOf, openPipe, socketPair } from '../helpers/descriptors.ts';
import { localService } from '../helpers/guest-service.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { describeWithQemu, SMALL_GUEST, SMALL_GUEST_LAP_TICKS, startQemu } from '../helpers/qemu/qemu.ts';
import { guestComplaint } from '../helpers/qemu/serial.ts';
import { addressToListen, connectTo } from '../helpers/transports.ts';

const STREAM = readStreamFixture('isapc-10.0').stream;
const SMALL = ['--ram', '2M', '--workload', 'rate=1M,span=1M,pattern=hot'];

function writing(fd: number): net.Socket {
  const socket = new net.Socket({ fd, readable: false, writable: true });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  return socket;
}

function imageFrom(fd: number) {
  return localService(['--machine', 'image', '--fd', `m=${fd}`, '--incoming', 'fd:m']);
}

describe('a pipe', () => {
  test('gives a stream from its first byte, in pieces of any size', async () => {
    const { read, write } = openPipe();
    const writer = writing(write);
    writer.write(STREAM.subarray(0, 3));
    const target = await imageFrom(read);
    writer.write(STREAM.subarray(3, 4000));
    await target.untilStatus('active');
    writer.end(STREAM.subarray(4000));
    await target.untilStatus('completed');
  });

  test('migrates a guest from one service to another, where it runs', async () => {
    const { read, write } = openPipe();
    const target = await localService([...SMALL, '--fd', `in=${read}`, '--incoming', 'fd:in']);
    const source = await localService([...SMALL, '--fd', `out=${write}`]);
    // The history has the name that the user gave, and not the descriptor's number.
    expect(await source.migrate('fd:out')).toMatchObject({ status: 'completed', uri: 'fd:out' });
    expect(await target.ended()).toMatchObject({ status: 'completed', uri: 'fd:in' });
    await target.expectRunning();
    expect(await source.runState()).toBe('postmigrate');
  });

  test.each([
    ['garbage', Buffer.alloc(100, 0xa5), 'not_a_migration_stream'],
    ['half a stream', STREAM.subarray(0, 5000), 'stream_truncated'],
    ['nothing', Buffer.alloc(0), 'stream_truncated'],
  ])('with %s fails the migration with the reason', async (_, bytes, code) => {
    const { read, write } = openPipe();
    const target = await imageFrom(read);
    writing(write).end(bytes);
    expect((await target.ended()).error?.code).toBe(code);
    expect(await target.runState()).toBe('inmigrate');
  });

  test('keeps the guest running after the reader closes it or after a cancel, and can be used only once', async () => {
    const ends = [openPipe(), openPipe()] as const;
    const flags = ends.flatMap(({ write }, index) => ['--fd', `out${index}=${write}`]);
    const source = await busyService({}, flags);
    await source.start('fd:out0');
    await source.untilStatus('active');
    fs.closeSync(ends[0].read);
    expect(await source.ended()).toMatchObject({ status: 'failed', guest: 'here', error: { code: 'peer_closed' } });

    await source.start('fd:out1');
    await source.untilStatus('active');
    expect(await source.cancel()).toBe('cancelled');
    fs.closeSync(ends[1].read);
    await source.expectRunning();
    const again = await source.call('/migrate', { body: { uri: 'fd:out1' } });
    expect([again.status, again.json.detail]).toEqual([422, expect.stringContaining('a migration has used it')]);
  });

  test('is refused before a row exists if it is the wrong end, and so is any descriptor other than a pipe or socket', async () => {
    const { read, write } = openPipe();
    const file = fs.openSync(fs.mkdtempSync(`${temporaryDirectory()}/`), constants.O_RDONLY);
    onTestFinished(() => fs.closeSync(read));
    const flags = ['--machine', 'image', '--incoming', 'defer', '--fd', `w=${write}`, '--fd', `f=${file}`];
    const target = await localService(flags);
    for (const [uri, words] of [
      ['fd:w', 'cannot be read'],
      ['fd:f', 'neither a socket nor a pipe'],
    ] as const) {
      const reply = await target.call('/migrate/incoming', { body: { uri } });
      expect([reply.status, reply.json.detail]).toEqual([422, expect.stringContaining(words)]);
    }
    expect(await target.query()).toEqual({});
  });
});

/** A process that inherits these as its descriptors 3 and up. @returns the url of the service. */
async function spawnWith(sockets: readonly net.Socket[], flags: readonly string[]): Promise<string> {
  const fixed = ['bin/vmferry.js', 'serve', '--http', '127.0.0.1:0', '--data', temporaryDirectory()];
  const child = spawn(process.execPath, [...fixed, ...flags], { stdio: ['ignore', 'pipe', 'inherit', ...sockets] });
  onTestFinished(() => void child.kill('SIGKILL'));
  for (const socket of sockets) socket.destroy();
  return urlOf(child);
}

testInSoak('a machine arrives through an inherited TCP socket and leaves through a unix socket', async () => {
  const target = await localService(['--machine', 'image', '--incoming', addressToListen('unix')]);
  const [incoming, sender] = await socketPair('tcp');
  const outgoing = await connectTo(await target.incomingUri(), { reads: false });
  const flags = ['--machine', 'image', '--fd', 'in=3', '--fd', 'out=4', '--incoming', 'fd:in'];
  const url = await spawnWith([incoming, outgoing], flags);
  sender.end(STREAM);
  await expectPassesThrough(url, 'there');
  await target.untilStatus('completed');
});

test('a shell passes a stream by process substitution as --fd, and stores the outgoing stream by another', async () => {
  const directory = temporaryDirectory();
  fs.writeFileSync(`${directory}/m.stream`, STREAM);
  const serve = `"${process.execPath}" bin/vmferry.js serve --http 127.0.0.1:0 --data "$1/data" --log-level silent`;
  const script =
    'exec 3< <(cat "$1/m.stream") 4> >(cat >"$1/out.stream"; touch "$1/written"); ' +
    `exec ${serve} --machine image --fd in=3 --fd out=4 --incoming fd:in`;
  const child = spawn('bash', ['-c', script, 'bash', directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await expectPassesThrough(await urlOf(child), 'there, unconfirmed');
  await expect.poll(() => fs.existsSync(`${directory}/written`)).toBe(true);
  expect(fs.readFileSync(`${directory}/out.stream`).equals(STREAM)).toBe(true);
});

async function urlOf(child: ChildProcess): Promise<string> {
  const [line] = await once(createInterface({ input: child.stdout! }), 'line');
  child.stdout!.resume();
  return String(line).replace('vmferry: ', '');
}

/** The machine arrives through fd:in and is sent on through fd:out. */
async function expectPassesThrough(url: string, guest: string): Promise<void> {
  const call = async (path: string, body?: unknown) => {
    const headers = { 'content-type': 'application/json', prefer: 'wait=20' };
    const request = body === undefined ? {} : { method: 'POST', headers, body: JSON.stringify(body) };
    return (await (await fetch(`${url}${path}`, request)).json()) as { readonly status: string };
  };
  await expect.poll(() => call('/migrate')).toMatchObject({ status: 'completed' });
  expect(await call('/migrate', { uri: 'fd:out' })).toMatchObject({ status: 'completed', guest });
}

describeWithQemu('a QEMU at the other end of an inherited connection', () => {
  test('sends its machine to a service, and another QEMU receives it from the service', async () => {
    const source = await startQemu({ ...SMALL_GUEST, machine: 'isapc' });
    await source.waitForTicks(SMALL_GUEST_LAP_TICKS + 10);
    const server = net.createServer({ pauseOnConnect: true }).listen(source.path('migration.sock'));
    onTestFinished(() => void server.close());
    const sent = source.migrate(`unix:${source.path('migration.sock')}`);
    const [incoming] = (await once(server, 'connection')) as [net.Socket];
    const [outgoing, inherited] = await socketPair('tcp');
    const fds = ['--fd', `in=${descriptorOf(incoming)}`, '--fd', `out=${descriptorOf(outgoing)}`];
    const service = await localService(['--machine', 'image', ...fds, '--incoming', 'fd:in']);
    await service.untilStatus('completed');
    expect((await sent).status).toBe('completed');

    const waiting = { ...SMALL_GUEST, machine: 'isapc', extraArguments: ['-incoming', 'fd:3'] };
    const target = await startQemu({ ...waiting, inherited: [inherited] });
    expect(await service.migrate('fd:out')).toMatchObject({ status: 'completed', guest: 'there' });
    await target.waitForTicks(SMALL_GUEST_LAP_TICKS + 10);
    expect(guestComplaint(target.serialText())).toBeNull();
  });
});
