/* `npm run demo`: two services, a busy guest, a migration between them, and its result. Exit status 0 if everything is correct. */
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { conclude } from './demo/conclusion.ts';
import { Screen } from './demo/screen.ts';
import { DEMO_SETTINGS, migrateBusyGuest } from './demo/story.ts';

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interruption.abort(name));
// The reader of the output has closed it (`npm run demo | head`), so the demo ends and removes its files.
process.stdout.on('error', () => interruption.abort('SIGPIPE'));

process.exitCode = await run(interruption.signal);

/** @returns the exit status. */
async function run(signal: AbortSignal): Promise<number> {
  const screen = new Screen(process.stdout, () => performance.now());
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-demo-'));
  try {
    const facts = await migrateBusyGuest({ directory, screen, settings: DEMO_SETTINGS, signal });
    const { lines, isWell } = conclude(facts);
    for (const line of ['', ...lines]) screen.line(line);
    return isWell ? 0 : 1;
  } catch (error) {
    screen.line('');
    if (signal.aborted) {
      const name = signal.reason as keyof typeof constants.signals;
      screen.line(`Interrupted (${name}): both services are stopped and their data is removed.`);
      return 128 + constants.signals[name];
    }
    console.error(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
    return 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
