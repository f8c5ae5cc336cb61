import { runProgram } from './client-program.ts';
import type { ExitStatus } from './exit-status.ts';
import { EXIT } from './exit-status.ts';
import { CLOCK, type World } from './world.ts';

/* The client as a process. It loads nothing of the service, so it starts in a moment. */

/** Runs the command; the caller ends the process with what it gives. */
export async function runClient(
  argv: readonly string[],
  { version, environment }: Pick<World, 'version' | 'environment'>,
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
  const world: World = {
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
  const status = await Promise.race([runProgram(argv, world), abandoned]);
  await Promise.all([process.stdout, process.stderr].map(written));
  const lost = losses.map((loss) => loss()).find((error) => error !== null);
  if (lost === undefined) return status;
  process.stderr.write(`vmferry: the output could not be written: ${lost.message}\n`);
  await written(process.stderr);
  return status === EXIT.done ? EXIT.unreachable : status;
}

/**
 * Notes what a stream could not take, a full disk say. Not counted: whoever read the output is gone
 * (`vmferry snapshot list | head -1`), for then the work matters, not what is said of it.
 */
function lossOf(stream: NodeJS.WriteStream): () => NodeJS.ErrnoException | null {
  let loss: NodeJS.ErrnoException | null = null;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') loss ??= error;
  });
  return () => loss;
}

/** Resolves when everything has left the process. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
}
