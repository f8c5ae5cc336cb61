import type { FastifyInstance } from 'fastify';
import { blockersOperations } from './blockers.ts';
import { documentationOperations } from './documentation.ts';
import { EVENTS_OPERATION, eventsOperations } from './events.ts';
import { healthOperations } from './health.ts';
import { machineOperations } from './machine.ts';
import { migrateOperations } from './migrate.ts';
import { migrationsOperations } from './migrations.ts';
import type { Operation, RouteContext } from './operation.ts';
import { registerOperation } from './register.ts';
import { settingsOperations } from './settings.ts';

const PLAIN_OPERATIONS: readonly Operation[] = [
  ...migrateOperations,
  ...settingsOperations,
  ...blockersOperations,
  ...migrationsOperations,
  ...machineOperations,
  ...healthOperations,
  ...documentationOperations,
];

/** Every operation, for the documentation. */
export const OPERATIONS: readonly Operation[] = [...PLAIN_OPERATIONS, EVENTS_OPERATION];

/** Makes every operation a route. */
export function registerOperations(server: FastifyInstance, context: RouteContext): void {
  for (const operation of [...PLAIN_OPERATIONS, ...eventsOperations(server)]) {
    registerOperation(server, context, operation);
  }
}
