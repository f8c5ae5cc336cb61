import { describe, expect, test } from 'vitest';
import { ioOf, runVmferry } from './fake-io.ts';
import { answers, fakeService, ok, problem } from './fake-service.ts';

const BIG = '{"return":{"n":18446744073709551615},"id":"a"}';

describe('qmp', () => {
  test('sends the command unchanged and prints the answer with exact integers', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok(BIG) });
    const io = ioOf(service);
    const envelope = '{"execute":"x","arguments":{"n":9007199254740993},"id":"a"}';
    expect(await runVmferry(io, 'qmp', envelope, '--json')).toBe(0);
    expect(JSON.stringify(service.requests[0]?.body)).toBe(envelope);
    expect(io.stdout).toBe(`${BIG}\n`);
  });

  test('prints the answer on several lines without --json', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok(BIG) });
    const io = ioOf(service);
    await runVmferry(io, 'qmp', 'query-status');
    expect(service.requests[0]?.body).toEqual({ execute: 'query-status' });
    expect(io.stdout).toBe('{\n  "return": {\n    "n": 18446744073709551615\n  },\n  "id": "a"\n}\n');
  });

  test('reads the command from standard input', async () => {
    const service = await fakeService();
    service.handler = answers({ 'POST /qmp': ok({ return: {} }) });
    const io = ioOf(service);
    io.input.write('{"execute":\n');
    io.input.end('"stop"}\n');
    expect(await runVmferry(io, 'qmp', '-', '--json')).toBe(0);
    expect(service.requests[0]?.body).toEqual({ execute: 'stop' });
  });

  test.each([200, 400, 404, 409])('ends with 4 for an error with the HTTP status %i', async (status) => {
    const service = await fakeService();
    const error = { class: 'GenericError', desc: 'No.' };
    service.handler = answers({ 'POST /qmp': { status, body: { error } } });
    const io = ioOf(service);
    expect(await runVmferry(io, 'qmp', 'stop', '--json')).toBe(4);
    expect([io.lines, io.stderr]).toEqual([[{ error }], '']);
  });

  test('reports a problem document that is no answer of QMP', async () => {
    const service = await fakeService();
    service.handler = () => problem(401, 'token_missing', 'Who are you?');
    const io = ioOf(service);
    expect(await runVmferry(io, 'qmp', 'stop')).toBe(4);
    expect(io.stderr).toBe('vmferry: qmp: refused (401 token_missing): Who are you?\n');
  });

  test.each(['{', '[]', '"stop"', 'not a command'])('refuses a text that is no command: %s', async (text) => {
    const service = await fakeService();
    const io = ioOf(service);
    expect(await runVmferry(io, 'qmp', text)).toBe(2);
    expect(io.stderr).toMatch(/^vmferry: qmp: it must be a JSON object/);
    expect(service.asked).toEqual([]);
  });
});
