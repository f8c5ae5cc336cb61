// The first connection that sent a byte was treated as the sender, and the listener was closed. One unrelated
// connection (a browser, a port scanner) ended the wait for the guest, at once or, if it sent one byte and no more,
// 30 s later. Now a connection becomes the sender when it has sent the header of a stream. Any other data is reported
// as the failure of the awaited migration, and the address stays open.

import type net from 'node:net';
import { describe, expect, test } from 'vitest';
import { combinations } from '../helpers/combinations.ts';
import { readStreamFixture } from '../helpers/qemu/fixtures.ts';
import { type Service, startService } from '../helpers/service.ts';
import { addressToListen, closed, connectTo, SOCKET_TRANSPORTS } from '../helpers/transports.ts';

const STREAM = readStreamFixture('isapc-10.0').stream;
const STALL_MS = 700;

function waiting(address: string, stallMs?: number): Promise<Service> {
  const deadlines = stallMs === undefined ? {} : { stallMs };
  return startService(['--machine', 'image', '--incoming', address], { deadlines });
}

async function send(uri: string, bytes: Uint8Array): Promise<net.Socket> {
  const socket = await connectTo(uri);
  socket.write(bytes);
  return socket;
}

async function rows(service: Service): Promise<unknown[]> {
  const { migrations } = (await service.get('/migrations')).json as {
    migrations: { status: string; error: { code: string } | null }[];
  };
  return migrations.map(({ status, error }) => error?.code ?? status);
}

describe.each(combinations(SOCKET_TRANSPORTS, ['unix']))('over %s', (transport) => {
  test('unrelated connections, before and during the wait, do not keep the sender out', async () => {
    const service = await waiting(addressToListen(transport));
    const uri = await service.listeningUri();
    const silent = await connectTo(uri);
    const slow = await send(uri, Buffer.from('Q'));
    expect((await service.migration()).status).toBe('setup');

    const browser = await send(uri, Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await closed(browser);
    const failed = await service.waitForEnd();
    expect([failed.status, await service.lastErrorCode()]).toEqual(['failed', 'peer_speaks_http']);
    // It is still listened on, at the same address, and more strays change nothing.
    expect(await service.listeningUri()).toBe(uri);
    for (const bytes of [Buffer.alloc(64, 0xa5), Buffer.from('160301', 'hex'), Buffer.from('QEVX')]) {
      const stray = await send(uri, bytes);
      stray.end();
      await closed(stray);
    }
    expect(await rows(service)).toEqual(['peer_speaks_http']);

    (await send(uri, STREAM)).end();
    await service.waitFor(({ status }) => status === 'completed');
    expect(await rows(service)).toEqual(['completed', 'peer_speaks_http']);
    for (const socket of [silent, slow]) socket.destroy();
  });

  test('a header that arrives byte by byte is accepted, and one that never ends fails while others are served', async () => {
    const service = await waiting(addressToListen(transport), STALL_MS);
    const uri = await service.listeningUri();
    const stuck = await send(uri, STREAM.subarray(0, 7));
    await closed(stuck);
    expect((await service.waitForEnd()).status).toBe('failed');
    expect(await service.lastErrorCode()).toBe('deadline_exceeded');

    const sender = await connectTo(uri);
    for (let at = 0; at < 8; at++) {
      await new Promise<void>((resolve) => sender.write(STREAM.subarray(at, at + 1), () => resolve()));
    }
    await service.waitFor(({ status }) => status === 'active');
    sender.end(STREAM.subarray(8));
    await service.waitFor(({ status }) => status === 'completed');
  });
});

test('a new request to listen replaces the present listener, even at the same address', async () => {
  const service = await waiting(addressToListen('tcp'));
  const uri = await service.listeningUri();
  for (const next of [uri, 'tcp:127.0.0.1:0']) {
    await closed(await send(await service.listeningUri(), Buffer.from('HEAD / HTTP/1.1\r\n\r\n')));
    await service.waitForEnd();
    await service.post('/migrate/incoming', { uri: next });
    expect((await service.migration()).status).toBe('setup');
  }
  await expect(connectTo(uri)).rejects.toThrow('ECONNREFUSED');
  (await send(await service.listeningUri(), STREAM)).end();
  expect((await service.waitForEnd()).status).toBe('completed');
  await expect(connectTo(uri)).rejects.toThrow('ECONNREFUSED');
});

test('too many connections without a header close the oldest, and the sender is served', async () => {
  const service = await waiting(addressToListen('tcp'));
  const uri = await service.listeningUri();
  const first = await send(uri, Buffer.from('Q'));
  const dropped = closed(first);
  for (let count = 0; count < 40; count++) await send(uri, Buffer.from('QE'));
  await dropped;
  expect((await service.migration()).status).toBe('setup');
  (await send(uri, STREAM)).end();
  expect((await service.waitForEnd()).status).toBe('completed');
});
