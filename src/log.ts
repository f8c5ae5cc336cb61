import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import { WorkerDeath } from './engine/session/worker-thread.ts';

/** The log of the service: lines of JSON. */
export type Log = FastifyBaseLogger;

/** Lines of JSON on standard error, so that standard output tells only where the service listens. */
export function createLog(level: LogLevel, stream: NodeJS.WritableStream = process.stderr): Log {
  return pino({ level }, stream);
}

/** Logs a fault that no caller waits for: its code if it has one, its message as `reason`, and where it came from. */
export function logFault(log: Log, error: unknown): void {
  const { code, message = String(error) } = (error ?? {}) as { readonly code?: unknown; readonly message?: string };
  const details = { ...(typeof code === 'string' ? { code } : {}), reason: message };
  if (error instanceof WorkerDeath) log.error({ worker: error.worker, ...details }, 'a worker thread died');
  else log.error({ ...details, err: error }, 'work in the background failed');
}
