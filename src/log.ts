import type { FastifyBaseLogger } from 'fastify';
import { pino } from 'pino';
import type { LogLevel } from './config.ts';
import { WorkerDeath } from './engine/session/worker-thread.ts';

/** The log of the service: lines of JSON. */
export type Log = FastifyBaseLogger;

/** Lines of JSON on standard error, because standard output has only the addresses of the service. */
export function createLog(level: LogLevel, stream: NodeJS.WritableStream = process.stderr): Log {
  return pino({ level }, stream);
}

/** Logs an error that no caller receives: its code, its message as `reason`, and its stack or its worker. */
export function logFault(log: Log, error: unknown): void {
  const { code, message = String(error) } = (error ?? {}) as { readonly code?: unknown; readonly message?: string };
  const details = { ...(typeof code === 'string' ? { code } : {}), reason: message };
  if (error instanceof WorkerDeath) log.error({ worker: error.worker, ...details }, 'a worker thread died');
  else log.error({ ...details, err: error }, 'work in the background failed');
}
