import { Command, CommanderError } from 'commander';
import { EXIT, type ExitStatus, Failure } from './client-failure.ts';
import { CLOCK, type CommandIo } from './command-io.ts';
import { commandFirst } from './command-words.ts';
import type { Grammar } from './grammar/common-options.ts';
import { addCompletion } from './grammar/completion.ts';
import { addHistory } from './grammar/history.ts';
import { addJobs } from './grammar/jobs.ts';
import { addMachine } from './grammar/machine.ts';
import { addBlockers, addCancel, addContinue, addIncoming, addMigrate } from './grammar/migrate.ts';
import { addMonitor, addQmp } from './grammar/monitor.ts';
import { addEvents, addStatus } from './grammar/observe.ts';
import { addService } from './grammar/service.ts';
import { addCapabilities, addSet } from './grammar/settings.ts';
import { addSnapshot } from './grammar/snapshot.ts';
import { oneLine } from './output/plain-text.ts';

/* The client as a process, and its command line. The client loads no file of the service, so that it starts quickly. */

/** Runs the command in this process. @returns the exit status; the caller ends the process. */
export async function runClient(
  argv: readonly string[],
  { version, environment }: Pick<CommandIo, 'version' | 'environment'>,
): Promise<ExitStatus> {
  const interrupted = new AbortController();
  const { promise: abandoned, resolve: abandon } = Promise.withResolvers<ExitStatus>();
  for (const [signal, status] of [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const) {
    process.on(signal, () => {
      if (interrupted.signal.aborted) abandon(status);
      interrupted.abort(signal);
    });
  }
  const losses = [process.stdout, process.stderr].map(lossOf);
  const outputClosed = new AbortController();
  process.stdout.on('error', () => outputClosed.abort());
  const { stdin, stdout, stderr } = process;
  const io: CommandIo = {
    version,
    environment,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    columns: () => (stderr.isTTY ? stderr.columns : null),
    outColumns: () => (stdout.isTTY ? stdout.columns : null),
    input: stdin,
    terminal: stdin.isTTY && stdout.isTTY ? { input: stdin, output: stdout } : null,
    clock: CLOCK,
    interrupt: interrupted.signal,
    outputClosed: outputClosed.signal,
  };
  const status = await Promise.race([runProgram(argv, io), abandoned]);
  await Promise.all([process.stdout, process.stderr].map(written));
  const lost = losses.map((loss) => loss()).find((error) => error !== null);
  if (lost === undefined) return status;
  process.stderr.write(`vmferry: the output could not be written: ${lost.message}\n`);
  await written(process.stderr);
  return status === EXIT.done ? EXIT.unreachable : status;
}

/**
 * Watches a stream for output that could not be written, for example because a disk is full. A reader that closes the pipe
 * (`vmferry snapshot list | head -1`) is not an error.
 */
function lossOf(stream: NodeJS.WriteStream): () => NodeJS.ErrnoException | null {
  let loss: NodeJS.ErrnoException | null = null;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') loss ??= error;
  });
  return () => loss;
}

/** Resolves when all output has been handed to the system. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}

const HELP_WIDTH = 110;

/** Parses the arguments of `vmferry` and runs the command. */
export async function runProgram(argv: readonly string[], io: CommandIo): Promise<ExitStatus> {
  let chosen: (() => Promise<ExitStatus>) | null = null;
  try {
    const program = createProgram(io, (run) => {
      chosen = run;
    });
    program.parse(commandFirst(argv, program), { from: 'user' });
    return chosen === null ? EXIT.done : await (chosen as () => Promise<ExitStatus>)();
  } catch (error) {
    // Commander has printed its message; after --help its exit code is 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (error instanceof Failure) {
      io.err(`vmferry: ${oneLine(error.message)}\n`);
      return error.exitStatus;
    }
    // A defect of the client: exit status 1 would say that the service failed to do its work.
    io.err(`vmferry: the client failed: ${oneLine(String(error))}\n`);
    return EXIT.unreachable;
  }
}

/** The tree of commands. `choose` receives the command that a parsed line asks for. */
export function createProgram(io: CommandIo, choose: Grammar['choose']): Command {
  const program = new Command('vmferry')
    .usage('COMMAND …')
    .description('Commands for a running vmferry service. "vmferry serve" is the service itself.')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.out(text),
      writeErr: (text) => io.err(text),
      getOutHelpWidth: () => Math.min(io.columns() ?? HELP_WIDTH, HELP_WIDTH),
      getErrHelpWidth: () => Math.min(io.columns() ?? HELP_WIDTH, HELP_WIDTH),
      outputError: (text, write) => write(`vmferry: ${oneLine(text.replace(/^error: /, ''))}; see --help\n`),
    });
  const grammar: Grammar = { program, io, choose };
  addStatus(grammar);
  addService(grammar);
  addMachine(grammar);
  addMigrate(grammar);
  addIncoming(grammar);
  addContinue(grammar);
  addCancel(grammar);
  addHistory(grammar);
  addBlockers(grammar);
  addSet(grammar);
  addCapabilities(grammar);
  addSnapshot(grammar);
  addJobs(grammar);
  addEvents(grammar);
  addMonitor(grammar);
  addQmp(grammar);
  addCompletion(grammar);
  return program;
}
