// An app with fake parts whose log a test reads.

import { Writable } from 'node:stream';
import type { App, AppOptions } from '../../src/app.ts';
import type { Config } from '../../src/config.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { startApp, testConfig } from './app.ts';
import { MemoryBlocks } from './memory-blocks.ts';

/** Numbers that pino has for its levels. */
export const LEVELS = { info: 30, warn: 40, error: 50 } as const;

export type LogLine = Readonly<Record<string, unknown>> & { readonly level: number; readonly msg: string };

export type CapturedLog = { readonly stream: Writable; readonly lines: () => readonly LogLine[] };

/** A stream for a log. `lines` parses what was written; it throws if a line is not JSON. */
export function captureLog(): CapturedLog {
  let text = '';
  const stream = new Writable({
    write: (chunk, _, done) => {
      text += String(chunk);
      done();
    },
  });
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as LogLine);
  return { stream, lines };
}

export type LoggedApp = {
  readonly app: App;
  readonly engine: FakeEngine;
  readonly machine: FakeMachine;
  readonly blocks: MemoryBlocks;
  readonly log: CapturedLog;
};

/** An app whose engine, machine and images the test drives; the log has the level given. */
export async function loggedApp(
  logLevel: Config['logLevel'],
  { flags = [], ...options }: AppOptions & { readonly flags?: readonly string[] } = {},
): Promise<LoggedApp> {
  const parts = { engine: new FakeEngine(), machine: new FakeMachine(), blocks: new MemoryBlocks() };
  const log = captureLog();
  const app = await startApp({ ...testConfig(flags), logLevel }, { ...parts, logStream: log.stream, ...options });
  return { app, ...parts, log };
}
