import type { MigrationAddress, TcpAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { type IncomingChannel, type OutgoingChannel, toTransferError } from './channel.ts';
import { openIncomingDescriptor, openOutgoingDescriptor } from './descriptor.ts';
import { ExecIncomingChannel, ExecOutgoingChannel } from './exec.ts';
import { FileIncomingChannel, FileOutgoingChannel } from './file.ts';
import { MAIN_CHANNEL, type SenderHandlers, SocketListener } from './socket-listener.ts';
import { connectSocket } from './socket-outgoing.ts';

/** An address at which an incoming migration waits for its sender. */
export type Awaiting = {
  /** Resolves with the bound address when it listens. Rejects with a TransferError. */
  readonly bound: Promise<MigrationAddress>;
  /** True if several senders can connect one after another: a listening socket. */
  readonly isListener: boolean;
  /** Gives the channels of the next sender. Called once, unless it is a listener; only a listener has further channels. */
  take(handlers: SenderHandlers): void;
  /** Stops listening when a sender is complete, but still reads connections that may belong to that sender. */
  acceptNoMore(): void;
  /** Stops waiting. Channels that were given are not touched. */
  close(): void;
};

type OutgoingPlace = {
  readonly fileRoot: string;
  /** Ends the attempt to connect. */
  readonly signal: AbortSignal;
};

type IncomingPlace = {
  readonly fileRoot: string;
  /** How long a connection may take from its first byte to a whole header; milliseconds. */
  readonly headerMs: number;
};

/** How channels of one transport are opened, and the properties that a migration depends on. */
type Transport<Address> = {
  readonly outgoing: (address: Address, place: OutgoingPlace) => OutgoingChannel | Promise<OutgoingChannel>;
  readonly incoming: (address: Address, place: IncomingPlace) => Awaiting;
  /** True if the sender is at the other end of the channel and closes it when it cancels. */
  readonly hasSender: boolean;
  /** True if a completely written stream needs no answer of a target. */
  readonly needsNoAnswer: boolean;
  /** True if a failure with this code shows that no target has taken the stream, even if it was written completely. */
  readonly isRefusal: (code: TransferError['code']) => boolean;
};

type Addresses = { readonly [Address in MigrationAddress as Address['transport']]: Address };
type Name = keyof Addresses;
type AddressOf<N extends Name> = { [K in N]: Addresses[K] & { readonly transport: K } }[N];

const NO_REFUSAL = { needsNoAnswer: false, isRefusal: () => false } as const;

/** All transports. A new one has its address type in the port, a file with its channels, and a row here. */
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

/** The properties of an address's transport. */
export function transportOf({
  transport,
}: MigrationAddress): Pick<Transport<never>, 'hasSender' | 'needsNoAnswer' | 'isRefusal'> {
  return TRANSPORTS[transport];
}

/** Opens the channel of an outgoing migration. Rejects with a TransferError; `signal` ends the attempt. */
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

/** Opens the address of an incoming migration. @throws TransferError; errors found later reject `bound`. */
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
