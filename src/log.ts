import type { LogLevel } from './config.ts';

/** What the HTTP server's logger is made from. */
export type LoggerOptions = false | { readonly level: LogLevel; readonly stream: NodeJS.WritableStream };

/** Logger options: lines of JSON on standard error, so that standard output tells only where the service listens. */
export function loggerOptions(level: LogLevel, stream: NodeJS.WritableStream = process.stderr): LoggerOptions {
  return level === 'silent' ? false : { level, stream };
}
