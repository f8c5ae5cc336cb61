// A QMP client in Python that passes descriptors, since Node's sockets cannot.

import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';
import { whenOver } from './shared.ts';

/** True if there is a Python that can pass descriptors. */
export function hasPassingClient(): boolean {
  return spawnSync('python3', ['-c', 'import socket; socket.send_fds']).status === 0;
}

/*
 * Reads one step a line: {"to", "text", "files"} sends the text to one of the sockets, and with it those files, opened for
 * reading, or for `write:`, `both:` (reading and writing) or `append:` in front of the path. `pair:NAME` stands for one end
 * of a socket pair, and for the other end when it is named again. Every message that comes is written as a line.
 */
const CLIENT = `
import json, os, socket, sys, threading
socks = []
def messages(index):
    for line in socks[index].makefile('r'):
        sys.stdout.write(json.dumps({'from': index, 'message': json.loads(line)}) + '\\n')
        sys.stdout.flush()
for index, path in enumerate(sys.argv[1:]):
    socks.append(socket.socket(socket.AF_UNIX))
    socks[index].connect(path)
    threading.Thread(target=messages, args=(index,), daemon=True).start()
pairs = {}
MODES = {'write': os.O_WRONLY, 'both': os.O_RDWR, 'append': os.O_WRONLY | os.O_APPEND}
def opened(name):
    mode, _, path = name.partition(':')
    if mode in MODES:
        return os.open(path, MODES[mode])
    if mode != 'pair':
        return os.open(name, os.O_RDONLY)
    if name in pairs:
        return pairs.pop(name).detach()
    one, pairs[name] = socket.socketpair()
    return one.detach()
for line in sys.stdin:
    step = json.loads(line)
    sock = socks[step['to']]
    fds = [opened(name) for name in step['files']]
    if fds:
        socket.send_fds(sock, [step['text'].encode()], fds)
    else:
        sock.sendall(step['text'].encode())
    for fd in fds:
        os.close(fd)
`;

type Message = Readonly<Record<string, unknown>>;

export type PassingClient = {
  /** Sends the text, and the files of these paths with its first byte. `to` is the place of the socket. */
  send(text: string, files?: readonly string[], to?: number): void;
  /** The next message from that socket that is no event. */
  next(from?: number): Promise<Message>;
  close(): void;
};

/** Connects to unix sockets; the greeting is the first message of each. */
export function passingClient(...paths: readonly string[]): PassingClient {
  const child = spawn('python3', ['-c', CLIENT, ...paths], { stdio: ['pipe', 'pipe', 'inherit'] });
  whenOver(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const waiting = paths.map((): Message[] => []);
  const read = async (): Promise<void> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the client has ended');
    const { from, message } = JSON.parse(value) as { readonly from: number; readonly message: Message };
    if (!Object.hasOwn(message, 'event')) waiting[from]?.push(message);
  };
  return {
    send: (text, files = [], to = 0) => void child.stdin.write(`${JSON.stringify({ to, text, files })}\n`),
    next: async (from = 0) => {
      for (;;) {
        const message = waiting[from]?.shift();
        if (message !== undefined) return message;
        await read();
      }
    },
    close: () => void child.kill('SIGKILL'),
  };
}
