import type { StatusInfo } from '../../commands/schemas/machine.ts';
import type { Answer } from './answer.ts';

/** `info status`: the run state stands behind the word only where it says more. */
export function statusText({ running, status }: Answer<typeof StatusInfo>): string {
  const more = status === 'running' || status === 'paused' ? '' : ` (${status})`;
  return `VM status: ${running ? 'running' : 'paused'}${more}\n`;
}
