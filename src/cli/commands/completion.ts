import type { Command } from 'commander';
import { EXIT, type ExitStatus } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { candidates, placeOf } from '../command-words.ts';
import { oneLine } from '../output/plain-text.ts';

/* completion: the scripts that complete command lines, and the hidden command `__complete` that they call. */

/** Prints the script for a shell. */
export async function runCompletionCommand(shell: Shell, io: CommandIo): Promise<ExitStatus> {
  io.out(SCRIPTS[shell]);
  return EXIT.done;
}

/** Prints the candidates for the last word, one on each line. After a failure there are none, and no error is printed. */
export async function runCompleteCommand(
  words: readonly string[],
  program: Command,
  io: CommandIo,
): Promise<ExitStatus> {
  try {
    const found = await candidates(placeOf(words, program), io);
    // A name with spaces or control characters cannot be typed as a word.
    const plain = found.filter((word) => word === oneLine(word) && !word.includes(' '));
    io.out(plain.map((word) => `${word}\n`).join(''));
  } catch {
    // Explained above.
  }
  return EXIT.done;
}

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

// Bash ends a word at ":" and "=", so the text before them is removed from the candidates. Names from the service are
// never evaluated: none is expanded or run.
const BASH = `# vmferry completion for bash: source <(vmferry completion bash)
_vmferry() {
  local line=\${COMP_LINE:0:COMP_POINT} words current prefix= candidate
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=('')
  current=\${words[-1]}
  [[ $current == *[:=]* ]] && prefix=\${current%"\${current##*[:=]}"}
  COMPREPLY=()
  while IFS= read -r candidate; do
    COMPREPLY+=("\${candidate#"$prefix"}")
  done < <("\${words[0]}" __complete -- "\${words[@]:1}" 2>/dev/null)
  if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *[:=] ]]; then compopt -o nospace; fi
}
complete -o default -F _vmferry vmferry
`;

const ZSH = `#compdef vmferry
# vmferry completion for zsh: source <(vmferry completion zsh), or as a file _vmferry in a folder of fpath
_vmferry() {
  local -a found open closed
  found=("\${(@f)$("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  found=("\${(@)found:#}")
  (( \${#found} )) || { _files; return }
  open=("\${(@M)found:#*[:=]}")
  closed=("\${(@)found:#*[:=]}")
  if (( \${#open} )); then compadd -S '' -- "\${open[@]}"; fi
  if (( \${#closed} )); then compadd -- "\${closed[@]}"; fi
}
if [ "$funcstack[1]" = "_vmferry" ]; then _vmferry "$@"; else compdef _vmferry vmferry; fi
`;

const FISH = `# vmferry completion for fish: vmferry completion fish | source
function __vmferry_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    $program __complete -- $words 2>/dev/null
end
complete -c vmferry -f -a '(__vmferry_complete)'
complete -c vmferry -l token-file -r -F
complete -c vmferry -l history-file -r -F
`;

export const SCRIPTS: Readonly<Record<Shell, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
