// Peers for migrations over any transport. Peers for fd: addresses must exist before their source starts.

import net from 'node:net';
import { onTestFinished } from 'vitest';
import { descriptorOf, openPipe } from './descriptors.ts';
import { type Behaviour, openPeer, Peer } from './peer.ts';
import { connectTo, type SocketTransport } from './transports.ts';

/** `fd` is an inherited TCP connection, `pipe` an inherited pipe: neither has an address of its own. */
export const OUTGOING_TRANSPORTS = ['tcp', 'unix', 'fd', 'pipe'] as const;
export type OutgoingTransport = (typeof OUTGOING_TRANSPORTS)[number];

export type OutgoingPeers = {
  /** Flags of the source. */
  readonly flags: readonly string[];
  /** The next peer; without a behaviour it reads everything and says nothing. */
  open(behaviour?: Behaviour, options?: { readonly reads?: boolean }): Promise<Peer>;
};

/** @param count how many peers can be opened at most. */
export async function outgoingPeers(transport: OutgoingTransport, count: number): Promise<OutgoingPeers> {
  if (transport === 'tcp' || transport === 'unix') return { flags: [], open: listeningPeers(transport) };
  const made: { readonly peer: Peer; readonly fd: number }[] = [];
  for (let index = 0; index < count; index += 1) made.push(await inheritedPeer(transport, `fd:p${index}`));
  let next = 0;
  return {
    flags: made.flatMap(({ fd }, index) => ['--fd', `p${index}=${fd}`]),
    open: async (behaviour = () => {}, { reads = true } = {}) => {
      const entry = made[next++];
      if (entry === undefined) throw new Error(`there are no more than ${count} peers`);
      const { peer } = entry;
      if (reads) peer.read();
      behaviour(peer.socket, peer);
      return peer;
    },
  };
}

function listeningPeers(transport: SocketTransport): OutgoingPeers['open'] {
  return (behaviour, options) => openPeer(behaviour, { ...options, transport });
}

async function inheritedPeer(transport: 'fd' | 'pipe', uri: string): Promise<{ peer: Peer; fd: number }> {
  if (transport === 'fd') {
    const peer = await openPeer(() => {}, { reads: false });
    const connection = await connectTo(peer.uri, { reads: false });
    await peer.has(0);
    peer.uri = uri;
    return { peer, fd: descriptorOf(connection) };
  }
  const { read, write } = openPipe();
  const socket = new net.Socket({ fd: read, readable: true, writable: false });
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  const peer = new Peer(uri);
  peer.connected(socket);
  return { peer, fd: write };
}
