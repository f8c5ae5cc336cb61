import { ENVIRONMENT, join } from './sections.ts';

/* What --help of `vmferry completion` says beside the options. */

export const COMPLETION_HELP = join(
  [
    'Commands and options are completed always; parameters, capabilities, tags and jobs if the service answers that',
    '--url on the line or VMFERRY_URL names.',
  ],
  ENVIRONMENT,
  ['Exit status:', '  0    printed', '  2    no such shell'],
  [
    'Examples:',
    '  source <(vmferry completion bash)                  in ~/.bashrc',
    '  source <(vmferry completion zsh)                   in ~/.zshrc, behind compinit',
    '  vmferry completion fish | source                   in ~/.config/fish/config.fish',
  ],
);
