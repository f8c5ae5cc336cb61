import { Command, CommanderError } from 'commander';
import { Failure } from './client-failure.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';
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
import { commandFirst } from './word-order.ts';
import type { World } from './world.ts';

/* The command line of the client: options and arguments in, a command run. */

const HELP_WIDTH = 110;

/** Runs what the words behind `vmferry` ask for. */
export async function runProgram(argv: readonly string[], world: World): Promise<ExitStatus> {
  let chosen: (() => Promise<ExitStatus>) | null = null;
  try {
    const program = createProgram(world, (run) => {
      chosen = run;
    });
    program.parse(commandFirst(argv, program), { from: 'user' });
    return chosen === null ? EXIT.done : await (chosen as () => Promise<ExitStatus>)();
  } catch (error) {
    // Commander has said everything already; it ends with 0 after --help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (error instanceof Failure) {
      world.err(`vmferry: ${oneLine(error.message)}\n`);
      return error.exitStatus;
    }
    // A fault of the client says nothing about the service, so it must not look like one of its failures.
    world.err(`vmferry: the client failed: ${oneLine(String(error))}\n`);
    return EXIT.unreachable;
  }
}

/** All commands of the client. */
export function createProgram(world: World, choose: Grammar['choose']): Command {
  const program = new Command('vmferry')
    .usage('COMMAND …')
    .description('Commands for a running vmferry service. "vmferry serve" is the service itself.')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .showSuggestionAfterError()
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => world.out(text),
      writeErr: (text) => world.err(text),
      getOutHelpWidth: () => Math.min(world.columns() ?? HELP_WIDTH, HELP_WIDTH),
      getErrHelpWidth: () => Math.min(world.columns() ?? HELP_WIDTH, HELP_WIDTH),
      outputError: (text, write) => write(`vmferry: ${oneLine(text.replace(/^error: /, ''))}; see --help\n`),
    });
  const grammar: Grammar = { program, world, choose };
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
