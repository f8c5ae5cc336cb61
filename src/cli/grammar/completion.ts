import { Argument } from 'commander';
import { runCompleteCommand, runCompletionCommand } from '../commands/completion.ts';
import { SHELLS, type Shell } from '../completion/shells.ts';
import { COMPLETION_HELP } from '../help/completion.ts';
import type { Grammar } from './common-options.ts';

/* The command line of `vmferry completion`, and of what the shells call. */

export function addCompletion({ program, world, choose }: Grammar): void {
  program
    .command('completion')
    .description('Print what makes a shell complete the command lines of vmferry.')
    .addArgument(new Argument('<SHELL>', 'which shell').choices(SHELLS))
    .addHelpText('after', COMPLETION_HELP)
    .action((shell: Shell) => choose(() => runCompletionCommand(shell, world)));
  program
    .command('__complete', { hidden: true })
    .argument('[WORDS...]', 'words behind vmferry; the last one is completed')
    .action((words: readonly string[]) => choose(() => runCompleteCommand(words, program, world)));
}
