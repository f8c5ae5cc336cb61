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

test('a command is finished when it has exited with 0 after it had everything', async () => {
  const channel = new ExecOutgoingChannel(shell('test "$(cat)" = "all of it"'));
  channel.write(Buffer.from('all of it'), () => {});
  await channel.finish();
  channel.destroy();
});

test('a command that says no has not finished', async () => {
  const channel = new ExecOutgoingChannel(shell('cat > /dev/null; echo no >&2; exit 9'));
  channel.write(Buffer.from('x'), () => {});
  await expect(channel.finish()).rejects.toMatchObject({
    code: 'command_failed',
    message: expect.stringMatching(/with status 9: no$/),
  });
  channel.destroy();
});

test('a command that exits with 0 before it had everything has not finished', async () => {
  const channel = new ExecOutgoingChannel(shell('head -c 10 > /dev/null'));
  channel.write(Buffer.alloc(1_000_000), () => {});
  await expect(channel.finish()).rejects.toMatchObject({ code: 'command_failed' });
  channel.destroy();
});

test('a program that does not exist is told', async () => {
  const channel = new ExecOutgoingChannel(['/no/such/program']);
  const failure = await new Promise((resolve) => channel.onFailure(resolve));
  expect(failure).toMatchObject({ code: 'no_such_file' });
  channel.destroy();
});

test('what a command prints arrives whole, then its end', async () => {
  expect(await readAll(shell('printf "one two three four"'))).toEqual({ text: 'one two three four', error: null });
});

test('a command that fails behind its output ends with the reason', async () => {
  const { text, error } = await readAll(shell('printf half; echo disk on fire >&2; exit 2'));
  expect(text).toBe('half');
  expect(error).toMatchObject({ code: 'command_failed', message: expect.stringContaining('disk on fire') });
});
