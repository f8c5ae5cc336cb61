import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Clock ticks per second in /proc/PID/stat. Linux always reports 100 there. */
const TICKS_PER_SECOND = 100;
const LOOK_MS = 150;
const QUIET_CPU_PART = 0.15;

/** CPU seconds that a process has used. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name in brackets may contain spaces. utime and stime are the 12th and 13th field after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Waits until a process is idle: its guest's RAM is filled and its last threads have started. */
export async function waitQuiet(pid: number, timeoutMs = 120_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  let before = cpuSeconds(pid);
  let quiet = 0;
  while (quiet < 2) {
    if (performance.now() > end) throw new Error(`Process ${pid} is still busy after ${timeoutMs} ms.`);
    const from = performance.now();
    await sleep(LOOK_MS);
    const now = cpuSeconds(pid);
    const part = ((now - before) * 1000) / (performance.now() - from);
    quiet = part <= QUIET_CPU_PART ? quiet + 1 : 0;
    before = now;
  }
}

/** Resident memory of a process in bytes: at present, and the maximum since its start. */
export function residentBytes(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { now: read('VmRSS'), peak: read('VmHWM') };
}
