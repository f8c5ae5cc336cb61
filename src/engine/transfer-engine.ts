import type { SharedStatus } from '../domain/migration/migration-status.ts';
import type {
  IncomingEnd,
  IncomingRequest,
  IncomingSession,
  KeptListener,
  MigrationAddress,
  OutgoingRequest,
  OutgoingSession,
  TransferListener,
} from '../domain/ports/migration-session.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from './memory/machine-state.ts';

/*
 * The engine that transfers embedded machines. A plan is a request together with the machine; plans and everything in
 * them cross threads by structured clone.
 */

/**
 * The addresses of a migration by kind of channel. Every migration has a main channel, which carries the stream; further
 * connections of the same kind of transport go to its address.
 */
export type ChannelAddresses = { readonly main: MigrationAddress };

type Plan<Request> = Omit<Request, 'address'> & {
  readonly channels: ChannelAddresses;
  /** Absolute path of the only folder below which `file:` addresses may lie. */
  readonly fileRoot: string;
};

export type OutgoingPlan = Plan<OutgoingRequest> & { readonly source: TransferSource };
export type IncomingPlan = Plan<IncomingRequest> & { readonly target: TransferTarget };

export interface OutgoingTransfer extends OutgoingSession {
  readonly status: SharedStatus;
}

export interface IncomingTransfer extends Omit<IncomingSession, 'loaded' | 'ended'> {
  readonly status: SharedStatus;
  /** A machine to be adopted; `started` or `refused` follows. */
  readonly loaded: Promise<LoadedMachine>;
  readonly ended: Promise<EngineIncomingEnd>;
}

export type EngineIncomingEnd = Omit<IncomingEnd, 'listener'> & { readonly listener: EngineListener | null };

/** As KeptListener, for plans of the engine. */
export type EngineListener = Pick<KeptListener, 'close'> & {
  next(plan: IncomingPlan, listener: TransferListener): IncomingTransfer;
};

export interface TransferEngine {
  startOutgoing(plan: OutgoingPlan, listener: TransferListener): OutgoingTransfer;
  startIncoming(plan: IncomingPlan, listener: TransferListener): IncomingTransfer;
  close(): Promise<void>;
}
