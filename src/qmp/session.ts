import { type Command, type CommandContext, execute } from '../commands/command.ts';
import type { Domain } from '../commands/domain.ts';
import { DoorError } from '../commands/errors.ts';
import { collectFindings, refuseFindings } from '../commands/findings.ts';
import { VERSION } from '../commands/service.ts';
import { COMMANDS } from '../commands/table.ts';
import type { JsonSchema } from '../commands/validate.ts';
import type { QmpInput } from './decoder.ts';
import { type Answer, failure, idOf, isOurs, QmpError, type Request, readRequest } from './envelope.ts';

/*
 * What a client has said so far and what that allows. It begins with the greeting; until the client has named its
 * capabilities with qmp_capabilities, no other command is found. It knows nothing of sockets.
 */

export type SessionOptions = {
  readonly domain: Domain;
  /** Handed to every command. */
  readonly context?: CommandContext;
  /** Told of faults that the client is not told more about. */
  readonly report: (error: unknown) => void;
};

const NEGOTIATION = 'qmp_capabilities';

export class Session {
  readonly #options: SessionOptions;
  #isNegotiated = false;
  #hasOutOfBand = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** True once commands are taken and events are told. */
  get isNegotiated(): boolean {
    return this.#isNegotiated;
  }

  /** Tells of a fault; never throws. */
  report(error: unknown): void {
    try {
      this.#options.report(error);
    } catch {
      // Nobody is left to be told.
    }
  }

  greeting(): Readonly<Record<string, unknown>> {
    return { QMP: { version: VERSION, capabilities: ['oob'] } };
  }

  /** True if this is to be answered before what waits. */
  isOutOfBand(input: QmpInput): boolean {
    if (!this.#hasOutOfBand || input.kind !== 'value') return false;
    try {
      return readRequest(input.value, true).isOutOfBand;
    } catch {
      return false;
    }
  }

  /** Never rejects. `takeDescriptor` gives what came with the command, which the caller owns then. */
  async answer(input: QmpInput, takeDescriptor?: () => number | null): Promise<Answer> {
    if (input.kind === 'refused') return failure({}, new QmpError(`This is no JSON: ${input.reason}.`));
    const id = idOf(input.value);
    try {
      const request = readRequest(input.value, this.#hasOutOfBand);
      return { return: await this.#run(request, takeDescriptor), ...id };
    } catch (error) {
      if (!isOurs(error)) this.report(error);
      return failure(id, error);
    }
  }

  async #run(request: Request, takeDescriptor?: () => number | null): Promise<unknown> {
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

type Surroundings = { readonly domain: Domain; readonly context: CommandContext };

/**
 * Runs a command by its name. @returns what QMP answers: a QAPI command without a result has an empty object.
 * @throws QmpError or DomainError if there is no such command, or it is refused.
 */
async function runCommand(request: Request, { domain, context }: Surroundings): Promise<unknown> {
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

/** One command by itself, of a client that has no connection and nothing to negotiate. @throws DoorError, and nothing else */
export async function answerOnce(value: unknown, options: SessionOptions): Promise<Answer> {
  const id = idOf(value);
  try {
    const { domain, context = {} } = options;
    return { return: await runCommand(readRequest(value, false), { domain, context }), ...id };
  } catch (error) {
    if (error instanceof DoorError) throw error;
    if (!isOurs(error)) options.report(error);
    return failure(id, error);
  }
}
