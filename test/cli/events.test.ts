import { describe, expect, test } from 'vitest';
import { ioOf, runVmferry } from './fake-io.ts';
import { type FakeService, fakeService, problem } from './fake-service.ts';

function frame(id: number, name: string, data: object): string {
  const body = { event: name, data, timestamp: { seconds: 1, microseconds: 250_000 } };
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(body)}\n\n`;
}

/** A service whose event stream ends after each list of pieces, and is refused after the last. */
async function telling(...streams: readonly (readonly string[])[]): Promise<FakeService> {
  const service = await fakeService();
  const left = [...streams];
  service.handler = () => {
    const pieces = left.shift();
    if (pieces === undefined) return problem(404, 'not_found');
    return { status: 200, headers: { 'content-type': 'text/event-stream; charset=utf-8' }, pieces };
  };
  return service;
}

const FIRST = frame(7, 'MIGRATION', { status: 'active' });
const SECOND = frame(8, 'GUEST_PANICKED', { action: 'pause', info: { type: 'x y' } });

describe('events', () => {
  test('are printed one per line, and continue after the last one when the stream ends', async () => {
    const service = await telling([':\n\n', FIRST], [SECOND]);
    const io = ioOf(service);
    expect(await runVmferry(io, 'events', '--since', '6')).toBe(4);
    expect(io.stdout.split('\n')).toEqual([
      expect.stringMatching(/^\d\d:\d\d:01\.250 {2}#7 {2}MIGRATION {2}status=active$/),
      expect.stringMatching(/#8 {2}GUEST_PANICKED {2}action=pause info=\{"type":"x y"\}$/),
      '',
    ]);
    expect(service.asked).toEqual(['GET /events?since=6', 'GET /events?since=7', 'GET /events?since=8']);
  });

  test('begin with the next event without --since', async () => {
    const service = await telling([]);
    await runVmferry(ioOf(service), 'events');
    expect(service.asked[0]).toBe('GET /events');
  });

  test('are JSON lines with --json, including a line for a gap', async () => {
    const gap = 'event: gap\ndata: {"from":1,"to":6}\n\n';
    const bye = 'event: bye\ndata: {"reason":"shutting-down"}\n\n';
    const io = ioOf(await telling([gap, FIRST, bye]));
    await runVmferry(io, 'events', '--since', '0', '--json');
    expect(io.lines.slice(0, 3)).toEqual([
      { type: 'gap', from: 1, to: 6 },
      {
        type: 'event',
        id: 7,
        event: 'MIGRATION',
        data: { status: 'active' },
        timestamp: { seconds: 1, microseconds: 250_000 },
      },
      { type: 'bye', reason: 'shutting-down' },
    ]);
  });

  test('are coloured on a terminal, unless NO_COLOR is set or the terminal is dumb', async () => {
    const coloured = ioOf(await telling([FIRST]));
    coloured.outWidth = 80;
    await runVmferry(coloured, 'events');
    expect(coloured.stdout).toContain('\u001b[33mMIGRATION\u001b[0m');
    const plain = ioOf(await telling([FIRST]));
    plain.outWidth = 80;
    plain.environment = { ...plain.environment, noColor: '1' };
    await runVmferry(plain, 'events');
    expect(plain.stdout).not.toContain('\u001b');
  });

  test('wait for an unreachable service for the time of --reconnect', async () => {
    const service = await telling([FIRST]);
    const io = ioOf(service);
    io.onWait = async () => await service.stop();
    expect(await runVmferry(io, 'events', '--reconnect', '5')).toBe(3);
    expect(io.stderr.match(/trying again/g)).toHaveLength(1);
    expect(io.nowMs).toBeGreaterThanOrEqual(5000);
    expect(io.nowMs).toBeLessThanOrEqual(6000);
  });

  test('end with 3 at once if no service listens', async () => {
    const service = await telling();
    await service.stop();
    const io = ioOf(service);
    expect(await runVmferry(io, 'events')).toBe(3);
    expect(io.nowMs).toBe(0);
  });

  test('end with 130 at Ctrl-C, even while no event arrives', async () => {
    const service = await fakeService();
    const io = ioOf(service);
    const pieces = async function* () {
      yield FIRST;
      io.signal('SIGINT');
      await new Promise(() => {});
    };
    service.handler = () => ({ status: 200, headers: { 'content-type': 'text/event-stream' }, pieces: pieces() });
    expect(await runVmferry(io, 'events')).toBe(130);
  });

  test('end when the reader closes standard output', async () => {
    const service = await telling([FIRST]);
    const io = ioOf(service);
    io.onWait = () => io.closeOutput();
    expect(await runVmferry(io, 'events')).toBe(0);
  });

  test.each(['x', '-1', '1e3', ''])('are refused with --since "%s"', async (since) => {
    const service = await telling([]);
    const io = ioOf(service);
    expect(await runVmferry(io, 'events', '--since', since)).toBe(2);
    expect(service.asked).toEqual([]);
  });
});
