import { describe, expect, test } from 'vitest';
import { answerOnce } from '../../src/qmp/qmp-session.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';

function unexpected(error: unknown): void {
  throw error;
}

/** An incoming migration that fails. @returns the number of requests to end the process. */
async function spoiled(given: Readonly<Record<string, unknown>>): Promise<number> {
  const world = fakeDomain({ incoming: true });
  const { domain } = world;
  const envelope = { execute: 'migrate-incoming', arguments: { uri: 'tcp:127.0.0.1:0', ...given } };
  const answer = answerOnce(envelope, { domain, report: unexpected });
  await expect.poll(() => world.engine.incoming.length).toBe(1);
  world.engine.incoming[0]!.listen();
  expect(await answer).toEqual({ return: {} });
  world.engine.incoming[0]!.fail({ code: 'peer_closed', message: 'closed' });
  await expect.poll(() => domain.migration.query().status).toBe('failed');
  await Promise.resolve();
  return world.exits.count;
}

describe('omitted members', () => {
  test('let a failed incoming migration end the process, unless that is switched off', async () => {
    expect(await spoiled({})).toBe(1);
    expect(await spoiled({ 'exit-on-error': true })).toBe(1);
    expect(await spoiled({ 'exit-on-error': false })).toBe(0);
  });
});

describe('an internal fault', () => {
  test('is reported, and the client learns only that it occurred', async () => {
    const { domain } = fakeDomain();
    const faults: unknown[] = [];
    const broken = {
      ...domain,
      machine: {
        ...domain.machine,
        status: () => {
          throw new TypeError('a secret');
        },
      },
    };
    const answer = await answerOnce(
      { execute: 'query-status', id: 1 },
      { domain: broken, report: (one) => faults.push(one) },
    );
    expect(answer).toEqual({ id: 1, error: { class: 'GenericError', desc: expect.not.stringContaining('secret') } });
    expect(faults).toHaveLength(1);
  });
});

test('quit requests the end of the process once', async () => {
  const { domain, exits, events } = fakeDomain();
  expect(await answerOnce({ execute: 'quit' }, { domain, report: unexpected })).toEqual({ return: {} });
  expect([exits.count, events().at(-1)]).toEqual([1, 'SHUTDOWN false host-qmp-quit']);
});
