import { Type } from 'typebox';
import { EventBye, EventGap, MachineEvent } from '../commands/schemas/events.ts';
import { DomainError } from '../domain/errors.ts';
import * as examples from './examples/service.ts';
import { EventStreams } from './http/event-streams.ts';
import type { Call, Operation, RouteContext } from './operation.ts';
import { SECURITY_HEADERS, type Server } from './plugins/common-hooks.ts';
import { HttpError } from './plugins/problem-details.ts';

const LAST_EVENT_ID = /^\d{1,15}$/;

/** The operation with its state: the open event streams. One per app. */
export function eventsOperations(
  server: Server,
  { domain, limits }: Pick<RouteContext, 'domain' | 'limits'>,
): {
  readonly operations: readonly Operation[];
  /** Number of open streams. */
  readonly open: () => number;
} {
  const streams = new EventStreams(domain, limits, (error) => server.log.error(error, 'the event log cannot be read'));
  server.addHook('preClose', async () => streams.endAll('shutting-down'));
  const operation: Operation = { ...EVENTS_OPERATION, handle: (call) => follow(call, streams) };
  return { operations: [operation], open: () => streams.size };
}

/** Schema of the data of a stream's messages. */
const STREAM_ITEM = Type.Union([MachineEvent, EventGap, EventBye]);

export const EVENTS_OPERATION: Operation = {
  method: 'GET',
  path: '/events',
  id: 'followEvents',
  tag: 'events',
  command: null,
  summary: 'Follow the events of the machine',
  description:
    'Sends server-sent events whose data has the form of QMP events. MIGRATION and MIGRATION_PASS are always sent, with the ' +
    'id of the migration; the capability events affects only QMP sockets. contentSchema of the answer describes the data. ' +
    'The id of a message is the number of the event. Send it as Last-Event-ID or ?since= to receive all later events. ' +
    'Without a number, or with one beyond the newest event, the stream begins with future events. The stream has two further ' +
    'messages: gap (the events from…to are no longer kept) and bye (the service shuts down). The service disconnects a ' +
    'reader that falls too far behind.',
  input: 'query',
  query: Type.Object({
    since: Type.Optional(Type.Integer({ minimum: 0, description: 'Number of the last event received.' })),
  }),
  headers: { 'Last-Event-ID': 'Number of the last event received. Takes precedence over ?since=.' },
  replies: {
    200: { description: 'The event stream.', schema: Type.String(), type: 'text/event-stream', items: STREAM_ITEM },
  },
  errors: ['wrong_type', 'too_many_event_streams'],
  examples: examples.followEvents,
};

async function follow(call: Call, streams: EventStreams) {
  const { request, reply, context } = call;
  const since = sinceOf(call);
  if (streams.size >= context.limits.eventStreamsMax) {
    throw new HttpError(
      'too_many_event_streams',
      `${streams.size} clients already follow the events; this is the maximum.`,
    );
  }
  reply.header('content-type', 'text/event-stream; charset=utf-8').header('cache-control', 'no-store');
  if (request.method === 'HEAD') return reply.send();
  reply.hijack();
  const { raw } = reply;
  for (const [name, value] of Object.entries({ ...SECURITY_HEADERS, ...reply.getHeaders() }))
    if (value !== undefined) raw.setHeader(name, value);
  raw.writeHead(200);
  streams.follow(raw, since);
  return reply;
}

function sinceOf({ request }: Call): number | null {
  const { since, ...rest } = request.query as Record<string, unknown>;
  const unknown = Object.keys(rest)[0];
  if (unknown !== undefined) {
    const violations = [{ pointer: `/${unknown}`, reason: 'is unknown; the known parameter is since' }];
    throw new DomainError('unknown_member', `Query parameter ${unknown} is unknown; the known parameter is since.`, {
      violations,
    });
  }
  const given = request.headers['last-event-id'] ?? since;
  if (given === undefined || given === '') return null;
  if (typeof given === 'string' && LAST_EVENT_ID.test(given)) return Number(given);
  const violations = [{ pointer: '/since', reason: 'must be the number of an event' }];
  throw new DomainError('wrong_type', `"${given}" is not the number of an event.`, { violations });
}
