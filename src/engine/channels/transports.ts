import type { MigrationAddress, TcpAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { type IncomingChannel, type OutgoingChannel, toTransferError } from './channel.ts';
import { openIncomingDescriptor, openOutgoingDescriptor } from './descriptor.ts';
import { ExecIncomingChannel, ExecOutgoingChannel } from './exec.ts';
import { FileIncomingChannel, FileOutgoingChannel } from './file.ts';
import { MAIN_CHANNEL, type SenderHandlers, SocketListener } from './socket-listener.ts';
import { connectSocket } from './socket-outgoing.ts';

/** A place where a sender is awaited. */
export type Awaiting = {
  /** Where it listens, once it does. Rejects with a TransferError. */
  readonly bound: Promise<MigrationAddress>;
  /** True where one sender may come after another: a socket that listens. */
  readonly isListener: boolean;
  /** Gives the channels of the next sender. Called once, unless it is a listener; only a listener has further channels. */
  take(handlers: SenderHandlers): void;
  /** Stops to listen when a sender is complete, but still reads connections that may belong to that sender. */
  acceptNoMore(): void;
  /** Stops to wait. Channels that were given are not touched. */
  close(): void;
};

type OutgoingPlace = {
  readonly fileRoot: string;
  /** Gives up connecting. */
  readonly signal: AbortSignal;
};

type IncomingPlace = {
  readonly fileRoot: string;
  /** How long a connection may take from its first byte to a whole header; milliseconds. */
  readonly headerMs: number;
};

/** How channels to the addresses of one transport are opened, and what a migration has to know of them. */
type Transport<Address> = {
  readonly outgoing: (address: Address, place: OutgoingPlace) => OutgoingChannel | Promise<OutgoingChannel>;
  readonly incoming: (address: Address, place: IncomingPlace) => Awaiting;
  /** True if the sender is at the other end of the channel and closes it when it cancels. */
  readonly hasSender: boolean;
  /** True if a stream that was written to its end needs no answer of a target. */
  readonly needsNoAnswer: boolean;
  /** True if a failure with this code says that nobody has taken the stream, also behind its end. */
  readonly isRefusal: (code: TransferError['code']) => boolean;
};

type Addresses = { readonly [Address in MigrationAddress as Address['transport']]: Address };
type Name = keyof Addresses;
type AddressOf<N extends Name> = { [K in N]: Addresses[K] & { readonly transport: K } }[N];

const NO_REFUSAL = { needsNoAnswer: false, isRefusal: () => false } as const;

/** All transports. One more needs its address in the port, its channels in a file of their own, and its row here. */
const TRANSPORTS: { readonly [N in Name]: Transport<Addresses[N]> } = {
  tcp: {
    ...NO_REFUSAL,
    outgoing: (address, { signal }) => connectSocket(tcpTarget(address), signal),
    incoming: (address, { headerMs }) => listening(address, `tcp:${address.host}:${address.port}`, headerMs),
    hasSender: true,
  },
  unix: {
    ...NO_REFUSAL,
    outgoing: ({ path }, { signal }) => connectSocket({ path }, signal),
    incoming: (address, { headerMs }) => listening(address, `unix:${address.path}`, headerMs),
    hasSender: true,
  },
  file: {
    outgoing: (address, { fileRoot }) => new FileOutgoingChannel(fileRoot, address),
    incoming: (address, { fileRoot }) => atOnce(address, new FileIncomingChannel(fileRoot, address)),
    hasSender: false,
    needsNoAnswer: true,
    isRefusal: () => true,
  },
  exec: {
    outgoing: ({ command }) => new ExecOutgoingChannel(command),
    incoming: (address) => atOnce(address, new ExecIncomingChannel(address.command)),
    hasSender: false,
    needsNoAnswer: false,
    isRefusal: (code) => code === 'command_failed',
  },
  fd: {
    ...NO_REFUSAL,
    outgoing: (address) => openOutgoingDescriptor(address),
    incoming: (address) => atOnce(address, openIncomingDescriptor(address)),
    hasSender: true,
  },
};

/** What a migration has to know of the transport of an address. */
export function transportOf({
  transport,
}: MigrationAddress): Pick<Transport<never>, 'hasSender' | 'needsNoAnswer' | 'isRefusal'> {
  return TRANSPORTS[transport];
}

/** Opens the channel of an outgoing migration. Rejects with a TransferError; `signal` gives up connecting. */
export async function openOutgoing(
  address: MigrationAddress,
  fileRoot: string,
  signal: AbortSignal,
): Promise<OutgoingChannel> {
  try {
    return await outgoingOf<Name>(address, { fileRoot, signal });
  } catch (error) {
    throw toTransferError(error, `${address.transport}:`);
  }
}

function outgoingOf<N extends Name>(address: AddressOf<N>, place: OutgoingPlace) {
  const name: N = address.transport;
  return TRANSPORTS[name].outgoing(address, place);
}

/** Opens the place that an incoming migration comes to. @throws TransferError where that is seen at once. */
export function openIncoming(address: MigrationAddress, place: IncomingPlace): Awaiting {
  try {
    return incomingOf<Name>(address, place);
  } catch (error) {
    throw toTransferError(error, `${address.transport}:`);
  }
}

function incomingOf<N extends Name>(address: AddressOf<N>, place: IncomingPlace): Awaiting {
  const name: N = address.transport;
  return TRANSPORTS[name].incoming(address, place);
}

function tcpTarget({ host, port, family, keepAlive }: TcpAddress) {
  return { host, port, ...(family !== undefined && { family }), ...(keepAlive !== undefined && { keepAlive }) };
}

function listening(address: Addresses['tcp' | 'unix'], name: string, headerMs: number): Awaiting {
  const listener = new SocketListener(name, headerMs);
  return {
    bound: listener.listen(address),
    isListener: true,
    take: (handlers) => listener.take(handlers),
    acceptNoMore: () => void listener.acceptNoMore(),
    close: () => listener.close(),
  };
}

function atOnce(address: MigrationAddress, channel: IncomingChannel): Awaiting {
  let taken = false;
  return {
    bound: Promise.resolve(address),
    isListener: false,
    take: ({ accepted, complete }) => {
      taken = true;
      accepted(channel, MAIN_CHANNEL);
      complete();
    },
    acceptNoMore: () => {},
    close: () => {
      if (!taken) channel.reset();
    },
  };
}
