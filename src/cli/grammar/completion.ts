import { Argument } from 'commander';
import { runCompleteCommand, runCompletionCommand, SHELLS, type Shell } from '../commands/completion.ts';
import { ENVIRONMENT, type Grammar, join } from './common-options.ts';

/* Options and help of `vmferry completion`, and of the hidden command `__complete` that the shells call. */

export function addCompletion({ program, io, choose }: Grammar): void {
  program
    .command('completion')
    .description('Print the script that makes a shell complete the command lines of vmferry.')
    .addArgument(new Argument('<SHELL>', 'the shell').choices(SHELLS))
    .addHelpText('after', COMPLETION_HELP)
    .action((shell: Shell) => choose(() => runCompletionCommand(shell, io)));
  program
    .command('__complete', { hidden: true })
    .argument('[WORDS...]', 'words after vmferry; the last one is completed')
    .action((words: readonly string[]) => choose(() => runCompleteCommand(words, program, io)));
}

export const COMPLETION_HELP = join(
  [
    'Commands and options are always completed; parameters, capabilities, tags and jobs only if the service answers',
    'that --url on the line or VMFERRY_URL names.',
  ],
  ENVIRONMENT,
  ['Exit status:', '  0    printed', '  2    unknown shell'],
  [
    'Examples:',
    '  source <(vmferry completion bash)                  in ~/.bashrc',
    '  source <(vmferry completion zsh)                   in ~/.zshrc, after compinit',
    '  vmferry completion fish | source                   in ~/.config/fish/config.fish',
  ],
);
