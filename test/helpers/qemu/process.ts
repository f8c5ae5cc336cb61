// A running QEMU with the test guest. This module does not depend on the test runner, so that scripts and benches can
// use it. Tests call startQemu of qemu.ts, which adds the teardown.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultMachine, firmwareArguments, qemuBinary } from './binaries.ts';
import { buildGuestFirmware, buildGuestFloppy, type GuestSettings } from './guest.ts';
import { type JsonObject, QMP_TIMEOUT_MS_DEFAULT, QmpClient } from './qmp.ts';
import { tickCount } from './serial.ts';

export type QemuOptions = {
  /** Default: qemuBinary(). */
  readonly binary?: string;
  /** Default: pc-i440fx-10.0, or -7.2 for an older binary. May carry properties: `isapc,suppress-vmdesc=on`. */
  readonly machine?: string;
  /** Default 32; the guest's default ring needs 17. */
  readonly ramMebibytes?: number;
  /** `guest`: the guest is the firmware (no SeaBIOS, at once). `seabios`: it boots from a floppy. Default `guest`. */
  readonly firmware?: 'guest' | 'seabios';
  readonly guest?: Partial<GuestSettings>;
  /** A migration URI to listen on, or `defer`. Given to migrate-incoming after the capabilities are set. */
  readonly incoming?: string;
  /** Start with -S. */
  readonly paused?: boolean;
  /** Switched on besides `events`. */
  readonly capabilities?: readonly string[];
  readonly parameters?: JsonObject;
  readonly extraArguments?: readonly string[];
  /** Connections that QEMU has as its descriptors 3 and up. */
  readonly inherited?: readonly Socket[];
};

export type MigrationResult = { readonly status: string; readonly info: JsonObject };

const START_TIMEOUT_MS = 15_000;
const STDERR_CHARACTERS_MAX = 64 * 1024;
const BYTES_PER_MEBIBYTE = 1024 * 1024;
/** From one look at the serial text to the next, at least. */
const LOOK_MS = 20;
const PDEATHSIG_TOOL = '/usr/bin/setpriv';
const FINAL_STATES: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled']);

/** QEMUs that still run when this process ends. */
const running = new Map<ChildProcess, string>();
process.on('exit', () => {
  for (const [child, directory] of running) {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
});

/** Starts a QEMU and waits until it answers on QMP. The caller must dispose of it. */
export async function launchQemu(options: QemuOptions = {}): Promise<Qemu> {
  const binary = options.binary ?? qemuBinary();
  if (binary === null) throw new Error('There is no QEMU 10 on this computer.');
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-qemu-'));
  const monitor = createServer();
  monitor.listen(join(directory, 'qmp.sock'));
  await once(monitor, 'listening');
  const childArguments = qemuArguments(binary, directory, options);
  const child = spawnBoundToUs(binary, childArguments, options.inherited);
  running.set(child, directory);
  const ramBytes = (options.ramMebibytes ?? 32) * BYTES_PER_MEBIBYTE;
  const qemu = new Qemu({ child, commandLine: [binary, ...childArguments], directory, ramBytes });
  try {
    qemu.qmp = await QmpClient.attach(await connectionOf(monitor, qemu));
    await qemu.setCapabilities(['events', ...(options.capabilities ?? [])]);
    if (options.parameters !== undefined) await qemu.qmp.execute('migrate-set-parameters', options.parameters);
    const { incoming } = options;
    if (incoming !== undefined && incoming !== 'defer') await qemu.qmp.execute('migrate-incoming', { uri: incoming });
    return qemu;
  } catch (error) {
    await qemu.stop();
    throw new Error(`QEMU did not start. It said: ${qemu.standardError || 'nothing'}`, { cause: error });
  } finally {
    monitor.close();
  }
}

export class Qemu implements AsyncDisposable {
  qmp!: QmpClient;
  /** The command line as text. */
  readonly commandLine: readonly string[];
  /** The directory of this QEMU, removed with it. */
  readonly directory: string;
  readonly ramBytes: number;
  readonly serialPath: string;
  standardError = '';
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(parts: { child: ChildProcess; commandLine: string[]; directory: string; ramBytes: number }) {
    this.#child = parts.child;
    this.commandLine = parts.commandLine;
    this.directory = parts.directory;
    this.ramBytes = parts.ramBytes;
    this.serialPath = join(parts.directory, 'serial.txt');
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', resolve);
      this.#child.once('error', resolve);
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.standardError = (this.standardError + text).slice(-STDERR_CHARACTERS_MAX);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when the process has ended for any reason. */
  get exited(): Promise<unknown> {
    return this.#exited;
  }

  /** A path inside the directory, for sockets and files. */
  path(name: string): string {
    return join(this.directory, name);
  }

  /** The output of the guest, complete up to the call. */
  serialText(): string {
    return existsSync(this.serialPath) ? readFileSync(this.serialPath, 'latin1') : '';
  }

  /** Waits until the serial text passes the check; gives the text. */
  async waitForSerial(passes: (text: string) => boolean, timeoutMs = QMP_TIMEOUT_MS_DEFAULT): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const look = (): void => {
      const text = this.serialText();
      if (passes(text)) resolve(text);
    };
    // The guest's serial port writes byte by byte, and a look reads everything.
    let next: NodeJS.Timeout | undefined;
    const watcher = watch(this.directory, () => {
      next ??= setTimeout(() => {
        next = undefined;
        look();
      }, LOOK_MS);
    });
    const timer = setTimeout(() => {
      reject(new Error(`Serial text not as awaited within ${timeoutMs} ms; its end: ${this.serialText().slice(-200)}`));
    }, timeoutMs);
    this.#exited.then(() => reject(new Error(`QEMU ended: ${this.standardError}`)));
    look();
    return promise.finally(() => {
      clearTimeout(timer);
      clearTimeout(next);
      watcher.close();
    });
  }

  /** Waits until the guest has written that many further lines. */
  async waitForTicks(count: number, timeoutMs = QMP_TIMEOUT_MS_DEFAULT): Promise<string> {
    const before = tickCount(this.serialText());
    return this.waitForSerial((text) => tickCount(text) >= before + count, timeoutMs);
  }

  async setCapabilities(names: readonly string[], state = true): Promise<void> {
    const capabilities = names.map((capability) => ({ capability, state }));
    await this.qmp.execute('migrate-set-capabilities', { capabilities });
  }

  /** Starts an outgoing migration and waits for its end, completed or not. */
  async migrate(uri: string, timeoutMs: number = QMP_TIMEOUT_MS_DEFAULT): Promise<MigrationResult> {
    const from = this.qmp.events.length;
    await this.qmp.execute('migrate', { uri });
    return this.waitForMigrationEnd({ from, timeoutMs });
  }

  /** Waits for completed, failed or cancelled, on the source or the destination. */
  async waitForMigrationEnd(wait: { from?: number; timeoutMs?: number } = {}): Promise<MigrationResult> {
    const event = await this.qmp.waitForEvent('MIGRATION', {
      ...wait,
      matches: (data) => FINAL_STATES.has(String(data.status)),
    });
    await this.#leaveFinishMigrate(wait.timeoutMs ?? QMP_TIMEOUT_MS_DEFAULT);
    return { status: String(event.data.status), info: await this.qmp.query('query-migrate') };
  }

  /** QEMU tells the end of a migration a moment before it settles the run state and the last figures; no event says when. */
  async #leaveFinishMigrate(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while ((await this.runState()) === 'finish-migrate') {
      if (performance.now() > deadline) throw new Error(`QEMU is still in finish-migrate after ${timeoutMs} ms.`);
    }
  }

  async runState(): Promise<string> {
    return String((await this.qmp.query('query-status')).status);
  }

  /** Writes guest physical memory from address 0 on to a file and gives its bytes. Stop the guest first. */
  async physicalMemory(bytes: number = this.ramBytes): Promise<Buffer> {
    const filename = this.path('memory.bin');
    await this.qmp.execute('pmemsave', { val: 0, size: bytes, filename });
    const memory = readFileSync(filename);
    rmSync(filename);
    return memory;
  }

  /** Kills the process and removes its directory; harmless when repeated. */
  async stop(): Promise<void> {
    this.qmp?.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exited;
    rmSync(this.directory, { recursive: true, force: true });
    running.delete(this.#child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

function qemuArguments(binary: string, directory: string, options: QemuOptions): string[] {
  const path = (name: string): string => join(directory, name);
  const boot: string[] = [];
  if (options.firmware === 'seabios') {
    writeFileSync(path('guest.img'), buildGuestFloppy(options.guest));
    boot.push('-drive', `file=${path('guest.img')},if=floppy,format=raw,readonly=on`);
  } else {
    writeFileSync(path('guest.rom'), buildGuestFirmware(options.guest));
    boot.push('-bios', path('guest.rom'));
  }
  return [
    ...firmwareArguments(binary),
    ...['-nodefaults', '-nographic', '-no-reboot', '-accel', 'tcg'],
    ...['-M', options.machine ?? defaultMachine(binary), '-m', `${options.ramMebibytes ?? 32}M`],
    ...['-chardev', `file,id=serial0,path=${path('serial.txt')}`, '-serial', 'chardev:serial0'],
    ...['-chardev', `socket,id=monitor0,path=${path('qmp.sock')}`, '-mon', 'chardev=monitor0,mode=control'],
    ...boot,
    ...(options.incoming === undefined ? [] : ['-incoming', 'defer']),
    ...(options.paused === true ? ['-S'] : []),
    ...(options.extraArguments ?? []),
  ];
}

/** A child that ends with this process, even if this process is killed. */
function spawnBoundToUs(
  binary: string,
  childArguments: readonly string[],
  inherited: readonly Socket[] = [],
): ChildProcess {
  const wrapped = existsSync(PDEATHSIG_TOOL);
  const command = wrapped ? PDEATHSIG_TOOL : binary;
  const prefix = wrapped ? ['--pdeathsig', 'KILL', '--', binary] : [];
  const child = spawn(command, [...prefix, ...childArguments], { stdio: ['ignore', 'ignore', 'pipe', ...inherited] });
  for (const socket of inherited) socket.destroy();
  return child;
}

/** QEMU connects to this process, so no polling for its socket is needed. */
async function connectionOf(monitor: Server, qemu: Qemu): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  monitor.once('connection', resolve);
  const timer = setTimeout(() => reject(new Error('QEMU did not connect to its monitor socket.')), START_TIMEOUT_MS);
  qemu.exited.then(() => reject(new Error('QEMU ended at once.')));
  return promise.finally(() => clearTimeout(timer));
}
