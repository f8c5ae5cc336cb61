// A body with nine thousand unknown members blocked the event loop for a third of a second, and one with ninety
// thousand over QMP for more than two. For each member the validator formatted a sentence with all known names, even
// after the hundredth violation, which is the last one that is listed, and compared it with all violations before.
// Now an object has a limit of members, and validation ends when the list of violations is full.

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { collectFindings } from '../../src/commands/findings.ts';
import type { JsonSchema } from '../../src/commands/validate.ts';
import { defaultParameters } from '../../src/domain/settings/declared-settings.ts';
import { changeCapabilities, changeParameters } from '../../src/domain/settings/settings-checks.ts';
import { VIOLATIONS_MAX } from '../../src/domain/settings/violations.ts';
import { ask, fakeApp, temporaryDirectory } from '../helpers/app.ts';
import { connectQmp, negotiated, qmpAddress } from '../helpers/qmp-client.ts';
import { shared } from '../helpers/shared.ts';

const service = shared(async () => {
  const app = await fakeApp({ flags: ['--qmp', `unix:${join(temporaryDirectory(), 'qmp')}`] });
  return { app, address: await qmpAddress(app) };
});

function flood(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`no-${index}`, index]));
}

describe('objects with more members than any command has', () => {
  test.each(['/migrate', '/migrate/parameters', '/qmp', '/snapshots', '/stop'])(
    'are refused over HTTP at the first member beyond the limit: %s',
    async (path) => {
      const { server, domain } = service().app;
      const before = domain.settings.version('parameters');
      const method = path === '/migrate/parameters' ? 'PATCH' : 'POST';
      for (const body of [flood(1001), flood(9000), { arguments: flood(9000) }]) {
        const { status, json } = await ask(server, path, { method, body });
        expect([status, json.code]).toEqual([400, 'malformed_json']);
        expect(json.detail).toContain('more than 1000 members in an object at offset');
      }
      expect(domain.settings.version('parameters')).toBe(before);
    },
  );

  test('are an error over QMP, and the client continues', async () => {
    const client = await negotiated(service().address);
    for (const execute of ['migrate-set-parameters', 'query-status', 'nonsense']) {
      client.send(JSON.stringify({ execute, arguments: flood(90_000), id: 1 }));
      const desc = expect.stringContaining('more than 1000 members in an object');
      expect(await client.next()).toMatchObject({ error: { class: 'GenericError', desc } });
    }
    client.send('{"execute":"query-name","id":2}');
    expect(await client.next()).toMatchObject({ return: {}, id: 2 });
    await expect(connectQmp(service().address).next()).resolves.toHaveProperty('QMP');
  });
});

describe('violations', () => {
  test.each([...COMMANDS.values()])('of $name are listed up to one hundred', ({ arguments: schema }) => {
    const { properties = {} } = schema as JsonSchema;
    const lists = Object.keys(properties).map((name) => ({ [name]: Array.from({ length: 2000 }, () => flood(1)) }));
    for (const given of [flood(1000), ...lists]) {
      expect(collectFindings(schema as JsonSchema, given).length).toBeLessThanOrEqual(VIOLATIONS_MAX);
    }
  });

  test('have a total in the answer that says at least as many as are listed', async () => {
    const { server } = service().app;
    const { json } = await ask(server, '/migrate/parameters', { method: 'PATCH', body: flood(1000) });
    expect(json).toMatchObject({ code: 'unknown_member', detail: expect.stringMatching(/and at least 99 more/) });
    expect(json.errors).toHaveLength(VIOLATIONS_MAX);
    const few = await ask(server, '/migrate/parameters', { method: 'PATCH', body: flood(3) });
    expect(few.json.detail).toMatch(/and 2 more/);
  });

  test('are not searched for after the list is full, so that the work does not grow with the input', () => {
    const schema = COMMANDS.get('migrate-set-parameters')?.arguments as JsonSchema;
    const looked: string[] = [];
    const given = new Proxy(flood(5000), {
      get: (target, name) => {
        looked.push(String(name));
        return Reflect.get(target, name);
      },
      getOwnPropertyDescriptor: (target, name) => {
        looked.push(String(name));
        return Reflect.getOwnPropertyDescriptor(target, name);
      },
    });
    collectFindings({ ...schema, additionalProperties: { type: 'string' } }, given);
    // Listing the names reads each name once; reading the values is expensive.
    expect(looked.length).toBeLessThan(5000 + 2 * VIOLATIONS_MAX + 10);
  });

  test('of settings that the domain refuses have the same limit', () => {
    const subject = {
      capabilities: new Set<never>(),
      parameters: defaultParameters(),
      incomingStarted: false,
      hasDirtyRing: false,
    };
    const list = Array.from({ length: 5000 }, () => ({ capability: 'nonsense', state: true }));
    for (const change of [() => changeCapabilities(subject, list), () => changeParameters(subject, flood(5000))]) {
      let refusal: unknown;
      try {
        change();
      } catch (error) {
        refusal = error;
      }
      expect(refusal).toMatchObject({ violations: { length: VIOLATIONS_MAX } });
      expect(String(refusal).length).toBeLessThan(20_000);
    }
  });
});
