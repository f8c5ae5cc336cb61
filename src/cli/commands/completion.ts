import type { Command } from 'commander';
import { placeOf } from '../command-words.ts';
import { SCRIPTS, type Shell } from '../completion/shells.ts';
import { candidates } from '../completion-candidates.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { oneLine } from '../output/plain-text.ts';
import type { World } from '../world.ts';

/* completion: what a shell needs, and what it asks then. */

export async function runCompletionCommand(shell: Shell, world: World): Promise<ExitStatus> {
  world.out(SCRIPTS[shell]);
  return EXIT.done;
}

/** A candidate a line. Nobody wants to read errors while typing: where something fails there is nothing to offer. */
export async function runCompleteCommand(
  words: readonly string[],
  program: Command,
  world: World,
): Promise<ExitStatus> {
  try {
    const found = await candidates(placeOf(words, program), world);
    // A name that is no plain word could not be typed as it is shown.
    const plain = found.filter((word) => word === oneLine(word) && !word.includes(' '));
    world.out(plain.map((word) => `${word}\n`).join(''));
  } catch {
    // Said above.
  }
  return EXIT.done;
}
