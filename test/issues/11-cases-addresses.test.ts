// An empty host became 0.0.0.0 when it was parsed, so nothing listened on IPv6, and socket-address repeated the
// request. Options after the port, and sizes with a fraction, were parsed in other places (channels, the text
// monitor), and the parsers of addresses did not use them.

import net from 'node:net';
import os from 'node:os';
import { describe, expect, test } from 'vitest';
import { readAddress } from '../../src/domain/migration/channels.ts';
import { FdSets } from '../../src/domain/migration/client-descriptors.ts';
import { parseUri } from '../../src/domain/migration/migration-address.ts';
import { SocketListener } from '../../src/engine/channels/socket-listener.ts';
import { localService } from '../helpers/guest-service.ts';

const NO_SETS = new FdSets({ close: () => {}, duplicate: (fd) => fd, accessOf: () => 'unknown' });
const RULES = { fileRoot: '/data/files', allowExec: false, fds: new Map<string, number>(), fdSets: NO_SETS };
const hasIpv6 = Object.values(os.networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

type Bound = { readonly type: string; readonly host: string; readonly port: string };

async function boundTo(uri: string): Promise<readonly Bound[]> {
  const service = await localService(['--machine', 'image', '--incoming', uri]);
  return ((await service.query()) as { 'socket-address': Bound[] })['socket-address'];
}

async function answers(host: string, port: number): Promise<boolean> {
  const socket = net.connect({ host, port });
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.once('connect', () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

describe('socket-address', () => {
  test('of an empty host covers every interface in both families, and each answers', async () => {
    const bound = await boundTo('tcp::0');
    const port = Number(bound[0]?.port);
    const both = [
      { type: 'inet', host: '::', port: String(port), ipv6: true },
      { type: 'inet', host: '0.0.0.0', port: String(port), ipv4: true },
    ];
    expect(bound).toEqual(hasIpv6 ? both : both.slice(1));
    expect(await answers('127.0.0.1', port)).toBe(true);
    expect(await answers('::1', port)).toBe(hasIpv6);
  });

  test.each(['tcp:localhost:0,ipv4=on', 'tcp:127.1:0', 'tcp:127.0.0.1:0,keep-alive=off'])(
    'of %s is the bound address',
    async (uri) => {
      const bound = await boundTo(uri);
      expect(bound).toEqual([
        { type: 'inet', host: '127.0.0.1', port: expect.stringMatching(/^[1-9]\d+$/), ipv4: true },
      ]);
      expect(await answers('127.0.0.1', Number(bound[0]?.port))).toBe(true);
    },
  );

  test('of one family covers only that family', async () => {
    for (const uri of ['tcp::0,ipv4=on', 'tcp::0,ipv6=off', 'tcp::0,ipv4']) {
      const [bound, ...others] = await boundTo(uri);
      expect([bound?.host, others]).toEqual(['0.0.0.0', []]);
      expect(await answers('::1', Number(bound?.port))).toBe(false);
    }
  });
});

test('to=N takes the next free port, and none above N', async () => {
  const busy = new SocketListener('busy', 1000);
  const first = { transport: 'tcp', host: '127.0.0.1', port: 0 } as const;
  const taken = await busy.listen(first);
  const port = taken.transport === 'tcp' ? taken.port : 0;
  const listener = new SocketListener('next', 1000);
  await expect(listener.listen({ ...first, port, portMax: port })).rejects.toMatchObject({ code: 'address_in_use' });
  const next = await listener.listen({ ...first, port, portMax: Math.min(port + 100, 65_535) });
  expect(next).toMatchObject({ transport: 'tcp' });
  expect(next.transport === 'tcp' && next.port).toBeGreaterThan(port);
  busy.close();
  listener.close();
});

test('options of a URI and members of a channel are read alike', () => {
  const inChannel = (members: object) => {
    const addr = { transport: 'socket', type: 'inet', host: 'h', port: '80', ...members };
    return readAddress({ channels: [{ 'channel-type': 'main', addr }] }, 'listen', RULES);
  };
  for (const [text, members] of [
    ['', {}],
    [',ipv4=on', { ipv4: true }],
    [',ipv6=off', { ipv6: false }],
    [',ipv6,ipv4=off', { ipv6: true, ipv4: false }],
    [',ipv4,ipv6', { ipv4: true, ipv6: true }],
    [',to=90', { to: 90 }],
    [',keep-alive=on', { 'keep-alive': true }],
    [',keep-alive=off,numeric=on', { 'keep-alive': false, numeric: true }],
  ] as const) {
    expect(parseUri(`tcp:h:80${text}`, 'listen', RULES), text).toEqual(inChannel(members));
  }
  expect(() => inChannel({ ipv4: false, ipv6: false })).toThrow(/both off/);
  expect(() => inChannel({ mptcp: true })).toThrow(/not available/);
  expect(() => inChannel({ to: 79 })).toThrow(/below the port/);
});

test.each([
  ['1.5k', 1536],
  ['.5M', 524_288],
  ['0x1000', 4096],
  ['2G', 2 ** 31],
])('offset=%s of a file is %i bytes', (text, offset) => {
  expect(parseUri(`file:a,offset=${text}`, 'listen', RULES)).toEqual({ transport: 'file', path: 'a', offset });
});

test.each(['1.5', '0x20M', '-1', '1kB', '', '1e3', '16E'])('offset=%s of a file is refused', (text) => {
  expect(() => parseUri(`file:a,offset=${text}`, 'listen', RULES)).toThrow(/offset/);
});

test('a migration accepts options for the address family and for keep-alive', async () => {
  const small = ['--ram', '2M', '--workload', 'rate=0,span=1M,pattern=hot'];
  const target = await localService([...small, '--incoming', 'tcp:localhost:0,ipv4=on']);
  const [address] = (await target.query())['socket-address'] ?? [];
  const source = await localService(small);
  const uri = `tcp:localhost:${address?.port},ipv4=on,ipv6=off,keep-alive=on,to=9`;
  expect(await source.migrate(uri)).toMatchObject({ status: 'completed' });
  await target.untilStatus('completed');
});
