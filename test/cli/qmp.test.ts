import { describe, expect, test } from 'vitest';
import { answers, fakeService, ok, problem } from './fake-service.ts';
import { runVmferry, worldOf } from './fake-world.ts';

const BIG = '{"return":{"n":18446744073709551615},"id":"a"}';

describe('qmp', () => {
  test('sends the command unchanged and prints the answer with exact integers', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok(BIG) });
    const world = worldOf(service);
    const envelope = '{"execute":"x","arguments":{"n":9007199254740993},"id":"a"}';
    expect(await runVmferry(world, 'qmp', envelope, '--json')).toBe(0);
    expect(JSON.stringify(service.requests[0]?.body)).toBe(envelope);
    expect(world.stdout).toBe(`${BIG}\n`);
  });

  test('prints the answer on several lines without --json', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok(BIG) });
    const world = worldOf(service);
    await runVmferry(world, 'qmp', 'query-status');
    expect(service.requests[0]?.body).toEqual({ execute: 'query-status' });
    expect(world.stdout).toBe('{\n  "return": {\n    "n": 18446744073709551615\n  },\n  "id": "a"\n}\n');
  });

  test('reads the command from standard input', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok({ return: {} }) });
    const world = worldOf(service);
    world.input.write('{"execute":\n');
    world.input.end('"stop"}\n');
    expect(await runVmferry(world, 'qmp', '-', '--json')).toBe(0);
    expect(service.requests[0]?.body).toEqual({ execute: 'stop' });
  });

  test.each([200, 400, 404, 409])('ends with 4 for an error with the HTTP status %i', async (status) => {
    const service = await fakeService();
    const error = { class: 'GenericError', desc: 'No.' };
    service.handler = answers({ 'POST /qmp': { status, body: { error } } });
    const world = worldOf(service);
    expect(await runVmferry(world, 'qmp', 'stop', '--json')).toBe(4);
    expect([world.lines, world.stderr]).toEqual([[{ error }], '']);
  });

  test('reports a problem document that is no answer of QMP', async () => {
    const service = await fakeService();
    service.handler = () => problem(401, 'token_missing', 'Who are you?');
    const world = worldOf(service);
    expect(await runVmferry(world, 'qmp', 'stop')).toBe(4);
    expect(world.stderr).toBe('vmferry: qmp: refused (401 token_missing): Who are you?\n');
  });

  test.each(['{', '[]', '"stop"', 'not a command'])('refuses a text that is no command: %s', async (text) => {
    const service = await fakeService();
    const world = worldOf(service);
    expect(await runVmferry(world, 'qmp', text)).toBe(2);
    expect(world.stderr).toMatch(/^vmferry: qmp: it must be a JSON object/);
    expect(service.asked).toEqual([]);
  });
});
