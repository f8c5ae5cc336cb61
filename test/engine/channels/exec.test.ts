import { expect, test } from 'vitest';
import { ExecIncomingChannel, ExecOutgoingChannel } from '../../../src/engine/channels/exec.ts';

const shell = (command: string) => ['/bin/sh', '-c', command];

/** Reads a command to its end. */
function readAll(argv: readonly string[]): Promise<{ text: string; error: unknown }> {
  const channel = new ExecIncomingChannel(argv);
  const buffer = new Uint8Array(new SharedArrayBuffer(8));
  let text = '';
  return new Promise((resolve) => {
    channel.onEnd((error) => resolve({ text, error }));
    channel.read(
      () => buffer,
      (count) => {
        text += Buffer.from(buffer.slice(0, count)).toString();
      },
    );
  });
}

test('an outgoing command is finished if it exits with 0 after it read everything', async () => {
  const channel = new ExecOutgoingChannel(shell('test "$(cat)" = "all of it"'));
  channel.write(Buffer.from('all of it'), () => {});
  await channel.finish();
  channel.destroy();
});

test('an outgoing command that exits with an error fails the channel with its output', async () => {
  const channel = new ExecOutgoingChannel(shell('cat > /dev/null; echo no >&2; exit 9'));
  channel.write(Buffer.from('x'), () => {});
  await expect(channel.finish()).rejects.toMatchObject({
    code: 'command_failed',
    message: expect.stringMatching(/with status 9: no$/),
  });
  channel.destroy();
});

test('an outgoing command that exits with 0 before it read everything fails the channel', async () => {
  const channel = new ExecOutgoingChannel(shell('head -c 10 > /dev/null'));
  channel.write(Buffer.alloc(1_000_000), () => {});
  await expect(channel.finish()).rejects.toMatchObject({ code: 'command_failed' });
  channel.destroy();
});

test('a program that does not exist is reported', async () => {
  const channel = new ExecOutgoingChannel(['/no/such/program']);
  const failure = await new Promise((resolve) => channel.onFailure(resolve));
  expect(failure).toMatchObject({ code: 'no_such_file' });
  channel.destroy();
});

test('the output of an incoming command arrives completely, and then its end', async () => {
  expect(await readAll(shell('printf "one two three four"'))).toEqual({ text: 'one two three four', error: null });
});

test('an incoming command that fails after its output ends with the reason', async () => {
  const { text, error } = await readAll(shell('printf half; echo disk on fire >&2; exit 2'));
  expect(text).toBe('half');
  expect(error).toMatchObject({ code: 'command_failed', message: expect.stringContaining('disk on fire') });
});
