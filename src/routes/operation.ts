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

/* The description of an HTTP operation: one method on one path, its command, and the data for its documentation. */

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
export type Tag = 'migration' | 'snapshots' | 'jobs' | 'settings' | 'history' | 'machine' | 'events' | 'service';

/** Objects that all handlers share. One per app. */
export type RouteContext = {
  readonly domain: Domain;
  readonly monitor: TextMonitor;
  readonly limits: HttpLimits;
  /** Random text in the entity tags of this process. Versions start again with each process, so tags need it to stay unique. */
  readonly instance: string;
  readonly keysInUse: KeysInUse;
  readonly httpFigures: HttpFigures;
  readonly workers: WorkersMemory;
  readonly space: FreeSpace;
  readonly eventLoop: EventLoopFigures;
  /** Limits how often one caller may start work. */
  readonly startLimit: RateLimit;
  /** Aborts when the service begins to close. */
  readonly closing: AbortSignal;
  readonly readiness: () => Readiness;
  readonly qmp: QmpAnswers;
};

/** Answers a QMP envelope with an envelope. Rejects only with an error of the context's `admit`. */
export type QmpAnswers = (envelope: unknown, context: CommandContext) => Promise<unknown>;

/** Whether the service can work, and the result of each check. */
export type Readiness = { readonly ready: boolean; readonly checks: Readonly<Record<string, 'ok' | string>> };

/** One request to an operation. */
export type Call = {
  readonly context: RouteContext;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  /** Aborts when the client disconnects or the service closes. */
  readonly signal: AbortSignal;
  /** Runs the operation's command with the arguments of the request. */
  run(context?: CommandContext): Promise<unknown>;
};

/** An answer that is not an error. */
export type Reply = {
  readonly description: string;
  /** Null if the answer has no body. */
  readonly schema: TSchema | null;
  /** Media type, if it is not application/json. */
  readonly type?: string;
  /** For a stream: the schema of one element; the OpenAPI document has it as `contentSchema` of the text. */
  readonly items?: TSchema;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A complete request and its answer. A test sends every example. */
export type Example = {
  readonly name: string;
  /** Values of the path's parameters. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly status: number;
  /** Body of the answer; undefined if there is none. */
  readonly answer?: unknown;
};

export type Operation = {
  readonly method: Method;
  /** In the syntax of find-my-way: `/migrations/:id`. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  /** Null for operations without a command, such as documentation and health. */
  readonly command: Command | null;
  /** Other commands whose result is part of this operation's result. */
  readonly covers?: readonly Command[];
  /** Default: the summary of the command. */
  readonly summary?: string;
  readonly description?: string;
  /** Where the command's arguments come from, in addition to the path. `body or query`: both are optional. */
  readonly input: 'query' | 'body' | 'body or query' | 'nothing';
  /** The request may omit the members that the command's short form may omit. */
  readonly takesShortForm?: boolean;
  /** Media type of the body, if it is not application/json. Requires `body`. */
  readonly bodyType?: 'text/plain';
  /** Schema of the body of an operation without a command. */
  readonly body?: TSchema;
  /** Query parameters of an operation without a command. */
  readonly query?: TSchema;
  /** Request headers that this operation evaluates, with their descriptions. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly replies: Readonly<Record<number, Reply>>;
  /** Error codes in addition to those that every operation may answer with. */
  readonly errors: readonly AnyErrorCode[];
  readonly examples: readonly Example[];
  /** Default: runs the command and sends its result. */
  readonly handle?: (call: Call) => Promise<FastifyReply>;
};

/** Schema of the arguments of an operation's command, in the form that the request may have. */
export function argumentsSchemaOf({ command, takesShortForm }: Operation): TSchema | undefined {
  return takesShortForm === true ? command?.short?.arguments : command?.arguments;
}

/** True for operations that create something: a migration, a job, a blocker. */
export function startsWork({ command }: Operation): boolean {
  return command?.begins === true;
}

/** True for operations that change or create something, and therefore write to the database. */
export function writesToStore({ command }: Operation): boolean {
  return command?.role === 'operator' && command.isUnaudited !== true;
}

/** Error codes that every operation may answer with. */
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

/** Error codes that every operation that writes to the database may answer with. */
export const STORE_ERRORS: readonly AnyErrorCode[] = ['no_space', 'data_directory_unusable', 'database_corrupt'];

/** Error codes that every operation with a body may answer with. */
export const BODY_ERRORS: readonly AnyErrorCode[] = [
  'malformed_json',
  'body_missing',
  'missing_member',
  'wrong_type',
  'body_too_large',
  'unsupported_media_type',
  'value_out_of_range',
];
