import type { FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import type { Command, CommandContext } from '../commands/command.ts';
import type { TextMonitor } from '../commands/service.ts';
import type { Domain } from '../domain/domain.ts';
import type { KeysInUse } from './http/idempotency-key.ts';
import type { HttpLimits, RateLimit } from './http-limits.ts';
import type { FreeSpace, WorkersMemory } from './metrics/metric-family.ts';
import type { EventLoopFigures, HttpFigures } from './metrics/running-figures.ts';
import type { AnyErrorCode } from './plugins/problem-details.ts';

/* An operation: one method on one path, the command behind it, and everything that its documentation needs. */

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Tag = 'migration' | 'snapshots' | 'jobs' | 'settings' | 'history' | 'machine' | 'events' | 'service';

/** What handlers share. One per app. */
export type RouteContext = {
  readonly domain: Domain;
  readonly monitor: TextMonitor;
  readonly limits: HttpLimits;
  /** Tells tags of this process apart from those of another: revisions begin anew with each. */
  readonly instance: string;
  readonly keysInUse: KeysInUse;
  readonly httpFigures: HttpFigures;
  readonly workers: WorkersMemory;
  readonly space: FreeSpace;
  readonly eventLoop: EventLoopFigures;
  /** How often one caller may begin something. */
  readonly beginnings: RateLimit;
  /** Aborts when the service begins to close. */
  readonly closing: AbortSignal;
  readonly readiness: () => Readiness;
  readonly qmp: QmpAnswers;
};

/** Answers one QMP envelope with another; rejects only with what `admit` of the context throws. */
export type QmpAnswers = (envelope: unknown, context: CommandContext) => Promise<unknown>;

/** Whether the service can do its work, and what it looked at. */
export type Readiness = { readonly ready: boolean; readonly checks: Readonly<Record<string, 'ok' | string>> };

/** One request to an operation. */
export type Call = {
  readonly context: RouteContext;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Aborts when the client has gone or the service closes. */
  readonly signal: AbortSignal;
  /** Runs the operation's command with what the request carried. */
  run(context?: CommandContext): Promise<unknown>;
};

/** An answer that is not an error. */
export type Reply = {
  readonly description: string;
  /** Null: no body. */
  readonly schema: TSchema | null;
  /** Media type if it is not application/json. */
  readonly type?: string;
  /** Of a stream: what one of its elements carries, in the document as `contentSchema` of the text. */
  readonly items?: TSchema;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A request that works as it stands and what comes back; a test sends every one. */
export type Example = {
  readonly name: string;
  /** Values of the path's parameters. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** What comes back; undefined for no body. */
  readonly answer?: unknown;
};

export type Operation = {
  readonly method: Method;
  /** In find-my-way's form: `/migrations/:id`. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  /** Null for what is no command: documentation and health. */
  readonly command: Command | null;
  /** Other commands that ask for the same, whose answer is in this one's. */
  readonly covers?: readonly Command[];
  /** Default: the command's. */
  readonly summary?: string;
  readonly description?: string;
  /** Where the command's arguments come from, beside the path. `body or query`: neither is needed. */
  readonly input: 'query' | 'body' | 'body or query' | 'nothing';
  /** The request may leave out what the command's short form may. */
  readonly takesShortForm?: boolean;
  /** The one media type of the body, if it is not application/json; then with `body`. */
  readonly bodyType?: 'text/plain';
  /** Schema of the body of an operation without a command. */
  readonly body?: TSchema;
  /** Query parameters of an operation without a command. */
  readonly query?: TSchema;
  /** Request headers that mean something here, with what they mean. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly replies: Readonly<Record<number, Reply>>;
  /** Codes beyond those that every operation may answer with. */
  readonly errors: readonly AnyErrorCode[];
  readonly examples: readonly Example[];
  /** Default: runs the command and sends its result. */
  readonly handle?: (call: Call) => Promise<FastifyReply>;
};

/** Schema of what an operation takes: its command's arguments, in the form that a request may give them. */
export function argumentsSchemaOf({ command, takesShortForm }: Operation): TSchema | undefined {
  return takesShortForm === true ? command?.short?.arguments : command?.arguments;
}

/** True of operations whose success leaves something behind: a migration, a job, a blocker. */
export function beginsSomething({ command }: Operation): boolean {
  return command?.begins === true;
}

/** True of operations that change something, or begin it, and so write it down. */
export function writesSomething({ command }: Operation): boolean {
  return command?.role === 'operator' && command.isUnaudited !== true;
}

/** Codes that any operation may answer with. */
export const COMMON_ERRORS: readonly AnyErrorCode[] = [
  'malformed_request',
  'unknown_member',
  'foreign_origin',
  'not_authenticated',
  'too_many_wrong_tokens',
  'not_allowed',
  'method_not_allowed',
  'expectation_failed',
  'request_timeout',
  'headers_too_large',
  'internal_error',
  'shutting_down',
];

/** Codes that any operation may answer with that has something to write down. */
export const STORE_ERRORS: readonly AnyErrorCode[] = ['no_space', 'data_directory_unusable', 'database_corrupt'];

/** Codes that any operation with a body may answer with. */
export const BODY_ERRORS: readonly AnyErrorCode[] = [
  'malformed_json',
  'body_missing',
  'missing_member',
  'wrong_type',
  'body_too_large',
  'unsupported_media_type',
  'value_out_of_range',
];
