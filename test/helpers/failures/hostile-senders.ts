// A hostile or broken sender fails with a reason at a service that waits for a migration, over any transport, and the
// service then accepts a valid machine. The tests send recorded streams of QEMU and need no QEMU.

import { once } from 'node:events';
import type net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { breakOff } from '../../../src/engine/channels/socket-handle.ts';
import { combinations, testInSoak } from '../combinations.ts';
import { readStreamFixture } from '../qemu/fixtures.ts';
import { type Service, startService } from '../service.ts';
import { shared } from '../shared.ts';
import {
  addressToListen,
  closed,
  connectTo as connectToUri,
  type SocketTransport,
  startConnecting,
} from '../transports.ts';

const STALL_MS = 300;
const good = readStreamFixture('isapc-10.0').stream;
/** Inside a page of its RAM. */
const IN_RAM = good.indexOf(Buffer.from('08000b0000', 'hex')) - 6000;
/** The lengths of broken streams: powers of four. */
const LENGTHS = Array.from({ length: 16 }, (_, index) => 4 ** index).filter((length) => length < good.length - 1);

type Waiting = {
  readonly service: Service;
  readonly listen: { readonly uri: string; readonly 'exit-on-error': false };
};

function listenOver(transport: SocketTransport): Waiting['listen'] {
  return { uri: addressToListen(transport), 'exit-on-error': false };
}

function waitingImage(transport: SocketTransport, deadlines: { readonly stallMs?: number } = {}): () => Waiting {
  return shared(async () => {
    const listen = listenOver(transport);
    const service = await startService(['--machine', 'image', '--incoming', listen.uri], { deadlines });
    return { service, listen };
  });
}

async function connectTo({ service }: Waiting): Promise<net.Socket> {
  return connectToUri(await service.listeningUri());
}

/** Sends bytes and then closes in order, or resets the connection after the service has read them. */
async function send(waiting: Waiting, bytes: Uint8Array, how: 'FIN' | 'RST' = 'FIN'): Promise<void> {
  const socket = await connectTo(waiting);
  if (how === 'FIN') {
    socket.end(bytes);
    return;
  }
  socket.write(bytes);
  await waiting.service.waitFor(({ status }) => status !== 'setup');
  breakOff(socket);
}

/** Expects the failure, and that the service listens again. The last test of the `describe` shows that it accepts a valid machine. */
async function expectFailure({ service, listen }: Waiting, code: string | RegExp, words: RegExp): Promise<void> {
  const failed = await service.waitForEnd();
  expect(failed.status).toBe('failed');
  expect(await service.lastErrorCode()).toMatch(code);
  expect(failed['error-desc']).toMatch(words);
  expect((await service.get('/status')).json.status).toBe('inmigrate');
  await service.post('/migrate/incoming', listen);
}

async function scan(uri: string): Promise<void> {
  const connections = Array.from({ length: 200 }, async (_, index) => {
    const socket = startConnecting(uri);
    await once(socket, 'connect').catch(() => {});
    if (index % 2 === 0) socket.destroy();
    else socket.end();
    await once(socket, 'close').catch(() => {});
  });
  await Promise.all(connections);
}

async function expectComplete(service: Service): Promise<void> {
  expect(await service.waitForEnd()).toMatchObject({ status: 'completed' });
  expect((await service.get('/healthz')).status).toBe(200);
}

/** The first bytes of other protocols, and their names in the error. */
const STRANGERS: readonly (readonly [Buffer, string, RegExp])[] = [
  [Buffer.from('GET /migrate HTTP/1.1\r\nHost: ferry\r\n\r\n'), 'peer_speaks_http', /HTTP/],
  [Buffer.from('16030100f8010000f40303', 'hex'), 'peer_speaks_tls', /TLS/],
  [Buffer.from('SSH-2.0-OpenSSH_9.2\r\n'), 'not_a_migration_stream', /0x5353482d/],
  [Buffer.from('5145564d00000002', 'hex'), 'stream_version_unknown', /version 2/],
  [Buffer.alloc(100_000), 'not_a_migration_stream', /0x00000000/],
];

async function takesGoodMachine(waiting: Waiting): Promise<void> {
  const { service } = waiting;
  const uri = await service.listeningUri();
  await scan(uri);
  for (let count = 0; count < 40; count++) await connectTo(waiting);
  expect((await service.migration()).status).toBe('setup');
  const first = await connectTo(waiting);
  first.write(good.subarray(0, IN_RAM));
  await service.waitFor(({ status }) => status === 'active');
  const second = startConnecting(uri);
  second.resume();
  // The connection is refused at once, or closed at its deadline, while the sender is served.
  await closed(second);
  expect((await service.migration()).status).toBe('active');
  first.end(good.subarray(IN_RAM));
  await expectComplete(service);
}

export function describeHostileSenders(transport: SocketTransport): void {
  describe(`a service that waits for a machine over ${transport}`, () => {
    const image = waitingImage(transport);

    it('reports the protocol of a peer that sends no migration', async () => {
      const waiting = image();
      for (const [bytes, code, words] of combinations(STRANGERS, STRANGERS.slice(0, 4))) {
        await send(waiting, bytes);
        await expectFailure(waiting, code, words);
      }
    });

    it('fails at any place where the sender closes the connection', async () => {
      const waiting = image();
      for (const length of combinations(LENGTHS, [1, 64, LENGTHS.at(-1)!])) {
        await send(waiting, good.subarray(0, length));
        await expectFailure(waiting, 'stream_truncated', /at byte \d+/);
      }
      await send(waiting, good.subarray(0, -1));
      await expectFailure(waiting, 'stream_truncated', /devices/);
    });

    it('fails at any place where the connection is reset', async () => {
      const waiting = image();
      for (const length of [9, IN_RAM, good.length - 2000]) {
        await send(waiting, good.subarray(0, length), 'RST');
        await expectFailure(
          waiting,
          transport === 'tcp' ? 'peer_reset' : /^(stream_truncated|peer_reset)$/,
          /at byte \d+ of the stream/,
        );
      }
    });

    it('refuses endless zeros', async () => {
      const waiting = image();
      const socket = await connectTo(waiting);
      const devices = good.indexOf(Buffer.from('08000b0000', 'hex'));
      socket.write(good.subarray(0, devices));
      const zeros = Buffer.alloc(2 ** 16);
      const pour = (): void => void (socket.writable && socket.write(zeros, () => pour()));
      pour();

      await expectFailure(waiting, 'section_order', /end mark/);
    });

    it('accepts a valid machine after port scans, silent connections and a second sender', () =>
      takesGoodMachine(image()));
  });
}

export function describeSilentSenders(transport: SocketTransport): void {
  describe(`a service that waits over ${transport} for a sender that falls silent`, () => {
    const image = waitingImage(transport, { stallMs: STALL_MS });

    it('fails at the deadline, with the part of the stream', async () => {
      const waiting = image();
      const parts = [
        [12, 'configuration'],
        [IN_RAM, 'ram'],
        [good.length - 100, 'devices'],
      ] as const;
      for (const [length, part] of combinations(parts, [parts[1]])) {
        const socket = await connectTo(waiting);
        socket.write(good.subarray(0, length));
        await expectFailure(waiting, 'deadline_exceeded', new RegExp(`part '${part}'`));
      }
    });

    it('is not kept busy by a sender of single bytes, and accepts a valid machine after that', async () => {
      const waiting = image();
      for (const from of combinations([IN_RAM, good.length - 400], [IN_RAM])) {
        const socket = await connectTo(waiting);
        socket.write(good.subarray(0, from));
        let next = from;
        const timer = setInterval(() => void socket.write(good.subarray(next, ++next)), 20);
        onTestFinished(() => clearInterval(timer));
        await expectFailure(waiting, 'deadline_exceeded', /nothing whole came/);
        clearInterval(timer);
      }
      await send(waiting, good);
      await expectComplete(waiting.service);
    });
  });
}

export function describeAwaitedGuest(transport: SocketTransport): void {
  describe(`an awaited synthetic guest over ${transport}`, () => {
    const RAM = ['--ram', '2M', '--workload', 'rate=4M,span=1M,pattern=random'];

    it('does not start with half a stream, and starts with a complete one afterwards', async () => {
      const listen = listenOver(transport);
      const target = await startService([...RAM, '--incoming', listen.uri], { deadlines: { stallMs: STALL_MS } });
      const waiting = { service: target, listen };
      await send(waiting, good);
      await expectFailure(waiting, 'machine_differs', /'isapc'.*'vmferry-synthetic-1\.0'/);
      const source = await startService(RAM);
      await source.send('file:guest.bin');
      expect((await source.post('/cont', undefined)).status).toBeLessThan(300);

      const row = await source.send(await target.listeningUri());
      expect([row.status, (await target.waitForEnd()).status]).toEqual(['completed', 'completed']);
      const { ticks } = (await target.get('/machine')).json as { ticks: number };
      const later = (await target.get('/machine')).json as { ticks: number; panic: unknown };
      expect(later.panic).toBeNull();
      expect(later.ticks).toBeGreaterThanOrEqual(ticks);
    });

    testInSoak('refuses a machine with another uuid, and reports both uuids', async () => {
      const [one, other] = ['11111111-2222-4333-8444-555555555555', '99999999-2222-4333-8444-555555555555'];
      const check = ['--enable', 'validate-uuid'];
      const listen = listenOver(transport);
      const target = await startService([...RAM, ...check, '--uuid', one, '--incoming', listen.uri]);
      // The source stops before its last pages. If it had sent all of them before the refusal, the owner would be unknown.
      const source = await startService([...RAM, ...check, '--enable', 'pause-before-switchover', '--uuid', other]);

      const row = await source.send(await target.listeningUri());
      expect([row.status, row.guest]).toEqual(['failed', 'here']);
      await expectFailure({ service: target, listen }, 'uuid_differs', new RegExp(`${other}.*${one}`));
      expect((await source.get('/status')).json.status).toBe('running');
    });
  });
}
