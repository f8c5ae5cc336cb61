// A place for images that a test makes by the hundred.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const MEMORY = '/dev/shm';

/** In memory where the system has such a place: what a sync is worth is not asked of a disk here. Gone after the test. */
export function imageDirectory(): string {
  const directory = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'vmferry-images-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
