import type { FastifyReply } from 'fastify';
import * as commands from '../commands/announce.ts';
import { AnnouncementDetail, AnnouncementPage } from '../commands/schemas/announce.ts';
import * as examples from './examples/machine.ts';
import { LINK, sendPage } from './http/answers.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const PLACE = '/announcements';

export const announceOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: PLACE,
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
    path: PLACE,
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
    handle: sendBegun,
  },
  {
    method: 'GET',
    path: `${PLACE}/:id`,
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

async function sendBegun(call: Call): Promise<FastifyReply> {
  const begun = (await call.run()) as { readonly id: string };
  return sendJson(call.reply.code(201).header('location', `${PLACE}/${begun.id}`), begun);
}
