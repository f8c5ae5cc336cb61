import { readFileSync } from 'node:fs';

/* Whether a process still runs. A process that ended but was not waited for by its parent counts as ended. */

export class ProcessWatch {
  readonly #pid: number;
  /** When the process began, in the kernel's clock ticks: another one that has the number now began later. */
  readonly #began: string | null;

  constructor(pid: number) {
    this.#pid = pid;
    this.#began = statOf(pid)?.began ?? null;
  }

  hasEnded(): boolean {
    const stat = statOf(this.#pid);
    if (stat !== null) return stat.isOver || (this.#began !== null && stat.began !== this.#began);
    // Elsewhere than on Linux there is no /proc, and the kernel is asked.
    return !isThere(this.#pid);
  }
}

/** What /proc tells of a process; null if there is none of this number. */
function statOf(pid: number): { readonly isOver: boolean; readonly began: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in brackets may hold spaces and brackets itself. Behind it come the state and, 19 fields on, the start.
    const [state = '', ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { isOver: 'ZX'.includes(state), began: rest[18] ?? '' };
  } catch {
    return null;
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
