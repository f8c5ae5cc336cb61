// A directory for images that a test creates in large numbers.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const MEMORY = '/dev/shm';

/** A directory in memory if the system has one, since these tests do not depend on real syncs. Removed after the test. */
export function imageDirectory(): string {
  const directory = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), 'vmferry-images-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
