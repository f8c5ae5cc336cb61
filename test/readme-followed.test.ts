// The README executed step by step in a clone of the repository: with the real git, npm, curl and QEMU, once with the
// system's Node and once with Node 24. The services have the ports of the README, in a separate network.

import {
  type ChildProcess,
  type ChildProcessByStdio,
  execFile,
  execFileSync,
  spawn,
  spawnSync,
} from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { npmSettings, repositoryOfThisCheckout } from './helpers/checkout.ts';
import { describeNeeding } from './helpers/needs.ts';
import { patternOf, README, type Step, stepsOf } from './helpers/readme.ts';

const run = promisify(execFile);
const OUTPUT_BYTES_MAX = 2 ** 24;
/** For the installation and some forty commands. */
const FOLLOW_MS_MAX = 240_000;

/** The path without the entries that npm added for this process. */
const SYSTEM_PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

function whyNot(): string | null {
  if (spawnSync('unshare', ['--net', 'ip', 'link', 'set', 'lo', 'up']).status !== 0) {
    return 'This process may not make a network of its own, or there is no ip';
  }
  const { stdout } = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
  return /version 1\d\./.test(stdout ?? '') ? null : 'There is no QEMU 10';
}

describeNeeding({ name: 'the README, followed line by line', missing: whyNot(), optional: true }, () => {
  test.each([
    ["under the system's Node", null],
    ['under Node 24', process.execPath],
  ] as const)('works as it is shown %s', { timeout: FOLLOW_MS_MAX }, async (_, node) => {
    const reader = await Reader.create(node);
    const steps = stepsOf(README);
    expect(steps.length).toBeGreaterThan(30);
    for (const step of steps) await reader.follow(step);
  });
});

/** A clone, a network, and the terminals with running programs. */
class Reader {
  readonly #directory: string;
  readonly #environment: Record<string, string>;
  readonly #network: ChildProcess;
  /** The functions and variables for later commands in the same terminal. */
  #shell = '';

  static async create(node: string | null): Promise<Reader> {
    const home = mkdtempSync(join(tmpdir(), 'vmferry-readme-'));
    // Half a gigabyte in many files, removed in the background.
    onTestFinished(() => spawn('rm', ['-rf', home], { detached: true, stdio: 'ignore' }).unref());
    mkdirSync(join(home, 'tools'));
    if (node !== null) symlinkSync(node, join(home, 'tools/node'));
    const holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && echo up && exec sleep infinity'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await once(holder.stdout, 'data');
    return new Reader(home, holder);
  }

  private constructor(home: string, network: ChildProcess) {
    this.#directory = join(home, 'vmferry');
    this.#network = network;
    const path = [join(home, 'tools'), SYSTEM_PATH].join(delimiter);
    this.#environment = { PATH: path, HOME: home, ...npmSettings() };
    execFileSync('git', ['clone', '--quiet', `file://${repositoryOfThisCheckout()}`, this.#directory]);
  }

  async follow({ command, expected }: Step): Promise<void> {
    if (command === 'npm ci') await this.#run(command, { isOutside: true });
    else if (command.startsWith('npm start')) await this.#start(command, /^vmferry: http/m);
    else if (command.startsWith('qemu-system')) await this.#useMonitor(command, expected);
    else if (command.startsWith('curl ')) await this.#expectAnswer(command, expected);
    else if (/^\w+\(\)|^export /.test(command)) this.#shell += `${command}\n`;
    else await this.#run(command);
  }

  /** @returns standard output. @throws Error if it fails. */
  async #run(command: string, { isOutside = false } = {}): Promise<string> {
    const words = ['bash', '-e', '-c', `${this.#shell}${command}`];
    const [program = '', ...rest] = isOutside ? words : [...this.#inNetwork(), ...words];
    const options = { cwd: this.#directory, env: this.#environment, maxBuffer: OUTPUT_BYTES_MAX };
    return (await run(program, rest, options)).stdout.replaceAll('\r', '');
  }

  /** Repeats a query until the answer is as shown, and runs any other command once. */
  async #expectAnswer(command: string, expected: string): Promise<void> {
    const pattern = patternOf(expected);
    const ask = async (): Promise<string> => (await this.#run(`${command} -sS`)).trimEnd();
    if (/ -X | -d /.test(command)) expect(await ask(), command).toMatch(pattern);
    else await expect.poll(ask, { interval: 100, message: command }).toMatch(pattern);
  }

  /** Types the text after `(qemu) ` in the README, and waits for the output below it. */
  async #useMonitor(command: string, expected: string): Promise<void> {
    const qemu = await this.#start(command, /\(qemu\) $/);
    for (const part of expected.split(/^\(qemu\) /m).slice(1)) {
      const [typed = '', ...shown] = part.trimEnd().split('\n');
      const from = qemu.output().length;
      qemu.input.write(`${typed}\n`);
      for (const line of shown) await qemu.shows((output) => output.slice(from).includes(line), `${typed}: ${line}`);
      if (typed === 'quit') await qemu.ended;
      else await qemu.shows((output) => /\(qemu\) $/.test(output.slice(from + 1)), typed);
    }
  }

  /** Starts a long-running program in its own terminal, until the test ends. */
  async #start(command: string, ready: RegExp): Promise<Terminal> {
    const [program = '', ...words] = [...this.#inNetwork(), 'bash', '-c', `exec ${command}`];
    const child = spawn(program, words, {
      cwd: this.#directory,
      env: this.#environment,
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
    const terminal = new Terminal(child);
    onTestFinished(async () => {
      terminal.end();
      await terminal.ended;
    });
    await terminal.shows((output) => ready.test(output), command);
    return terminal;
  }

  #inNetwork(): string[] {
    return ['nsenter', '--net', `--target=${this.#network.pid}`, '--'];
  }
}

/** A running program, with its output so far. */
class Terminal {
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  #output = '';

  constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.ended = once(child, 'close');
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
    child.stdin.on('error', () => {});
  }

  get input(): Writable {
    return this.#child.stdin;
  }

  output(): string {
    return this.#output;
  }

  async shows(isShown: (output: string) => boolean, what: string): Promise<void> {
    const gone = this.ended.then(() => {
      if (!isShown(this.#output)) throw new Error(`${what}: it has ended: ${this.#output}`);
    });
    const shown = async (): Promise<void> => {
      while (!isShown(this.#output)) await once(this.#child.stdout, 'data');
    };
    await Promise.race([gone, shown()]);
  }

  end(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    process.kill(-(this.#child.pid ?? 0), 'SIGKILL');
  }
}
