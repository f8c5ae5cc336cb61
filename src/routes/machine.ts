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
      'ticks, pages-checked, pages-written, panic and workload are there for the synthetic guest only; disk-writes and disk-checks if it has a disk.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The machine now.', schema: Machine, headers: TAGGED }, 304: NOT_MODIFIED },
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
    replies: { 200: { description: 'Console text, 4 KiB at most.', schema: Type.String(), type: 'text/plain' } },
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
    description: 'What is left out stays as it is. Of the synthetic guest only.',
    input: 'body',
    replies: { 200: { description: 'The workload afterwards.', schema: Workload } },
    errors: ['no_workload'],
    examples: examples.setWorkload,
  },
  {
    method: 'GET',
    path: '/status',
    id: 'queryStatus',
    tag: 'machine',
    command: commands.queryStatus,
    description: 'The run states are those of QEMU.',
    input: 'query',
    headers: CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The run state now.', schema: StatusInfo, headers: TAGGED }, 304: NOT_MODIFIED },
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
    description: 'The vCPUs have stopped when the answer comes. A guest that is stopped stays so.',
    input: 'nothing',
    replies: { 200: { description: 'The guest stands still.', schema: StatusInfo } },
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
      'After a migration that completed this takes the guest back: make sure that it does not run elsewhere.',
    input: 'nothing',
    replies: { 200: { description: 'The guest runs.', schema: StatusInfo } },
    errors: ['machine_cannot_run', 'machine_reset_required', 'not_finalized'],
    examples: examples.cont,
  },
  {
    method: 'GET',
    path: ANNOUNCEMENTS,
    id: 'queryAnnouncements',
    tag: 'history',
    command: commands.queryAnnouncements,
    description: 'By command, and those that migrations made here. The newest 1000 are kept.',
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
      'The first round is made at once; what is left out is as the announce-* parameters say. An incoming migration ' +
      'announces its guest by itself. Rounds are logged and kept in the history; frames are sent by none, since no ' +
      'machine here has a network interface.',
    input: 'body or query',
    takesShortForm: true,
    replies: {
      201: {
        description: 'The first round was made.',
        schema: AnnouncementDetail,
        headers: { Location: 'The announcement in the history.' },
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
    description: 'The announcement with each of its rounds.',
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
  const begun = (await call.run()) as { readonly id: string };
  return sendJson(call.reply.code(201).header('location', `${ANNOUNCEMENTS}/${begun.id}`), begun);
}
