import { Failure } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { type Answer, readText } from '../http-exchange.ts';
import { isRecord, parseExactJson } from '../json-values.ts';
import { failureOf } from '../service-client.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* qmp: one command as a QMP envelope, and the envelope that answers it. */

/** A command alone, without arguments. */
const COMMAND_NAME = /^[A-Za-z_][\w-]*$/;
const INDENT = 2;

export function runQmpCommand(command: Common & { readonly text: string }, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'qmp' }, world, async (client) => {
    const text = command.text === '-' ? await readText(world.input) : command.text;
    const answer = await client.answer({ method: 'POST', path: '/qmp', body: envelopeOf(text) });
    const body = answerOf(answer);
    world.out(command.json ? jsonLine(body) : `${JSON.stringify(body, null, INDENT)}\n`);
    return body.error === undefined ? EXIT.done : EXIT.refused;
  });
}

/** @throws Failure for what is no JSON object. */
function envelopeOf(text: string): unknown {
  if (COMMAND_NAME.test(text.trim())) return { execute: text.trim() };
  try {
    const envelope = parseExactJson(text);
    if (isRecord(envelope)) return envelope;
  } catch {
    // Said below.
  }
  throw new Failure(
    EXIT.usage,
    'it must be a JSON object such as {"execute":"query-status"}, or the name of a command',
  );
}

/** `{"return":…}` or `{"error":…}`, whatever the status it came with. */
function answerOf(answer: Answer): Readonly<Record<string, unknown>> {
  try {
    const body = parseExactJson(answer.text);
    if (isRecord(body) && ('return' in body || isRecord(body.error))) return body;
  } catch {
    // It is none.
  }
  throw failureOf(answer);
}
