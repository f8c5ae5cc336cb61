import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import * as commands from '../commands/machine.ts';
import { AnnouncementDetail, AnnouncementPage, Machine, StatusInfo, Workload } from '../commands/schemas/machine.ts';
import { watchState } from '../commands/waiting.ts';
import * as examples from './examples/machine.ts';
import {
  CONDITIONAL_HEADERS,
  LINK,
  LIVE_RECHECK_MS,
  NOT_MODIFIED,
  sendContentTagged,
  sendPage,
  TAGGED,
} from './http/answers.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const ANNOUNCEMENTS = '/announcements';

export const machineOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/machine',
    id: 'queryMachine',
    tag: 'machine',
    command: commands.queryMachine,
    description:
      'Only a synthetic guest has ticks, pages-checked, pages-written, panic and workload; disk-writes and disk-checks only if it ' +
      'has a disk.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: {
      200: { description: 'The current state of the machine.', schema: Machine, headers: TAGGED },
      304: NOT_MODIFIED,
    },
    errors: [],
    examples: examples.queryMachine,
    handle: (call) => sendContentTagged(call, watchState(call.context.domain), { recheckMs: LIVE_RECHECK_MS }),
  },
  {
    method: 'GET',
    path: '/machine/console',
    id: 'queryConsole',
    tag: 'machine',
    command: commands.queryConsole,
    description: 'Only the synthetic guest has a console.',
    input: 'query',
    replies: {
      200: { description: 'The end of the console text, at most 4 KiB.', schema: Type.String(), type: 'text/plain' },
    },
    errors: ['no_console'],
    examples: examples.queryConsole,
    handle: sendConsole,
  },
  {
    method: 'PATCH',
    path: '/machine/workload',
    id: 'setWorkload',
    tag: 'machine',
    command: commands.setWorkload,
    description: 'Omitted members keep their values. Only the synthetic guest has a workload.',
    input: 'body',
    replies: { 200: { description: 'The workload after the change.', schema: Workload } },
    errors: ['no_workload'],
    examples: examples.setWorkload,
  },
  {
    method: 'GET',
    path: '/status',
    id: 'queryStatus',
    tag: 'machine',
    command: commands.queryStatus,
    description: 'Run states are named as in QEMU.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The current run state.', schema: StatusInfo, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: [],
    examples: examples.queryStatus,
    handle: (call) => sendContentTagged(call, watchState(call.context.domain)),
  },
  {
    method: 'POST',
    path: '/stop',
    id: 'stop',
    tag: 'machine',
    command: commands.stop,
    description: 'The vCPUs have stopped when the service answers. Has no effect on a stopped guest.',
    input: 'nothing',
    replies: { 200: { description: 'The guest is stopped.', schema: StatusInfo } },
    errors: [],
    examples: examples.stop,
  },
  {
    method: 'POST',
    path: '/cont',
    id: 'cont',
    tag: 'machine',
    command: commands.cont,
    description:
      'After a completed outgoing migration this command starts the guest here again: make sure first that it does not run elsewhere.',
    input: 'nothing',
    replies: { 200: { description: 'The guest is running.', schema: StatusInfo } },
    errors: ['machine_cannot_run', 'machine_reset_required', 'not_finalized'],
    examples: examples.cont,
  },
  {
    method: 'GET',
    path: ANNOUNCEMENTS,
    id: 'queryAnnouncements',
    tag: 'history',
    command: commands.queryAnnouncements,
    description: 'Lists announcements by command and by incoming migrations. The newest 1000 are kept.',
    input: 'query',
    replies: { 200: { description: 'A page of the history.', schema: AnnouncementPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryAnnouncements,
    handle: sendPage,
  },
  {
    method: 'POST',
    path: ANNOUNCEMENTS,
    id: 'announceSelf',
    tag: 'machine',
    command: commands.announceSelf,
    description:
      'The first round is made before the answer. The announce-* parameters give the schedule unless the request does. ' +
      'An incoming migration announces its guest automatically. Rounds are logged and kept in the history. No frames are ' +
      'sent, because the machines of this service have no network interface.',
    input: 'body or query',
    takesShortForm: true,
    replies: {
      201: {
        description: 'The first round was made.',
        schema: AnnouncementDetail,
        headers: { Location: 'Path of the announcement in the history.' },
      },
    },
    errors: ['too_many_announcements'],
    examples: examples.announceSelf,
    handle: sendAnnouncement,
  },
  {
    method: 'GET',
    path: `${ANNOUNCEMENTS}/:id`,
    id: 'queryAnnouncement',
    tag: 'history',
    command: commands.queryAnnouncement,
    description: 'Returns one announcement with all of its rounds.',
    input: 'query',
    replies: { 200: { description: 'The announcement with its rounds.', schema: AnnouncementDetail } },
    errors: ['announcement_not_found'],
    examples: examples.queryAnnouncement,
  },
];

async function sendConsole(call: Call): Promise<FastifyReply> {
  const { text } = (await call.run()) as { readonly text: string };
  return call.reply.type('text/plain; charset=utf-8').send(text);
}

async function sendAnnouncement(call: Call): Promise<FastifyReply> {
  const started = (await call.run()) as { readonly id: string };
  return sendJson(call.reply.code(201).header('location', `${ANNOUNCEMENTS}/${started.id}`), started);
}
