import { type Command, type CommandContext, DoorError, qmpClassOf } from '../commands/command.ts';
import { COMMANDS } from '../commands/command-table.ts';
import { execute } from '../commands/execute.ts';
import { collectFindings, refuseFindings } from '../commands/findings.ts';
import { VERSION } from '../commands/service.ts';
import type { JsonSchema } from '../commands/validate.ts';
import type { Domain } from '../domain/domain.ts';
import { DomainError } from '../domain/errors.ts';
import type { DecodedMessage } from './codec/qmp-decoder.ts';
import { idOf, type MessageId, type QmpAnswer, QmpError, type QmpRequest, readRequest } from './codec/qmp-messages.ts';

/*
 * The state of one QMP client: greeting, negotiation, commands. Until the client has sent qmp_capabilities every other command is
 * refused as unknown. A session knows nothing of sockets.
 */

export type SessionOptions = {
  readonly domain: Domain;
  /** Context of every command. */
  readonly context?: CommandContext;
  /** Logs an internal error. The client only receives that the service failed. */
  readonly report: (error: unknown) => void;
};

const NEGOTIATION = 'qmp_capabilities';

export class QmpSession {
  readonly #options: SessionOptions;
  #isNegotiated = false;
  #hasOutOfBand = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** True once the client has negotiated: it may send commands, and receives events. */
  get isNegotiated(): boolean {
    return this.#isNegotiated;
  }

  /** Logs an internal error; never throws. */
  report(error: unknown): void {
    try {
      this.#options.report(error);
    } catch {
      // The error of the logger itself cannot be logged.
    }
  }

  greeting(): Readonly<Record<string, unknown>> {
    return { QMP: { version: VERSION, capabilities: ['oob'] } };
  }

  /** True if the message is an out-of-band request, which is answered ahead of those that wait. */
  isOutOfBand(input: DecodedMessage): boolean {
    if (!this.#hasOutOfBand || input.kind !== 'value') return false;
    try {
      return readRequest(input.value, true).isOutOfBand;
    } catch {
      return false;
    }
  }

  /** Never rejects. `takeDescriptor` gives the file descriptor that came with the command; its caller owns it. */
  async answer(input: DecodedMessage, takeDescriptor?: () => number | null): Promise<QmpAnswer> {
    if (input.kind === 'refused') return failure({}, new QmpError(`The message is not valid JSON: ${input.reason}.`));
    const id = idOf(input.value);
    try {
      const request = readRequest(input.value, this.#hasOutOfBand);
      return { return: await this.#run(request, takeDescriptor), ...id };
    } catch (error) {
      if (!isExpected(error)) this.report(error);
      return failure(id, error);
    }
  }

  async #run(request: QmpRequest, takeDescriptor?: () => number | null): Promise<unknown> {
    const { name } = request;
    if (!this.#isNegotiated && name !== NEGOTIATION) {
      throw new QmpError(`The first command has to be ${NEGOTIATION}, not '${name}'.`, 'CommandNotFound');
    }
    const context = {
      ...this.#options.context,
      ...(this.#isNegotiated ? {} : { negotiate: this.#negotiate }),
      ...(takeDescriptor === undefined ? {} : { takeDescriptor }),
    };
    return await runCommand(request, { domain: this.#options.domain, context });
  }

  readonly #negotiate = (enable: readonly string[]): void => {
    this.#isNegotiated = true;
    this.#hasOutOfBand = enable.includes('oob');
  };
}

type CommandParts = { readonly domain: Domain; readonly context: CommandContext };

/**
 * Runs a command by its name. @returns its result; an empty object for a QAPI command that has none
 * @throws QmpError or DomainError if the command does not exist, or is refused
 */
async function runCommand(request: QmpRequest, { domain, context }: CommandParts): Promise<unknown> {
  const { name, isOutOfBand } = request;
  const entry: Command | undefined = COMMANDS.get(name);
  if (entry === undefined) throw new QmpError(`There is no command '${name}'.`, 'CommandNotFound');
  if (isOutOfBand && entry.qapi?.oob !== true) throw new QmpError(`The command ${name} cannot run out of band.`);
  const given = request.arguments as Readonly<Record<string, unknown>>;
  if (entry.qapi?.arguments !== undefined) {
    refuseFindings(collectFindings(entry.qapi.arguments as JsonSchema, given));
  }
  const result = await execute(entry, { domain, arguments: { ...entry.qapi?.defaults, ...given }, context });
  return entry.qapi?.returns === 'nothing' ? {} : result;
}

/** Answers one command without a connection and without negotiation, for `POST /qmp`. @throws DoorError, and no other error */
export async function answerOnce(value: unknown, options: SessionOptions): Promise<QmpAnswer> {
  const id = idOf(value);
  try {
    const { domain, context = {} } = options;
    return { return: await runCommand(readRequest(value, false), { domain, context }), ...id };
  } catch (error) {
    if (error instanceof DoorError) throw error;
    if (!isExpected(error)) options.report(error);
    return failure(id, error);
  }
}

/** The answer to a refused command. An internal error is not described to the client. */
function failure(id: MessageId, error: unknown): QmpAnswer {
  if (error instanceof QmpError) return { ...id, error: { class: error.qmpClass, desc: error.message } };
  if (error instanceof DomainError) return { ...id, error: { class: qmpClassOf(error.code), desc: error.message } };
  return {
    ...id,
    error: { class: 'GenericError', desc: 'The service failed to answer the command; its log has details.' },
  };
}

/** True for a refusal, false for an internal error. */
function isExpected(error: unknown): boolean {
  return error instanceof QmpError || error instanceof DomainError;
}
