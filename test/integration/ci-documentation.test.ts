// docs/ci.md is executed as it is written: its workflow, its GitLab jobs and its shell blocks, against a real
// service.

import { type ExecFileException, execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EXIT_STATUSES } from '../../src/cli/grammar/common-options.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { npmSettings, repositoryOfThisCheckout } from '../helpers/checkout.ts';
import { blocksOf, gitlabCommands, sectionOf, type WorkflowStep, workflowSteps } from '../helpers/ci-page.ts';
import { describeWithQemu } from '../helpers/qemu/qemu.ts';
import { describeWithMounts, smallDisk } from '../helpers/snapshots/mounts.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PAGE = readFileSync(join(ROOT, 'docs/ci.md'), 'utf8');
const IMAGE = 'vm/disk0.qcow2';
const TESTS_FAILED = 7;
/** Space for a service, but not for a snapshot of its guest. */
const SMALL_DISK_MIB = 5;

/** The repository that the recipes clone. */
const REPOSITORY = 'https://git.example.com/your-name/vmferry';

type Outcome = { readonly status: number; readonly output: string };

describe('the GitHub workflow', () => {
  const steps = workflowSteps(blocksOf(sectionOf(PAGE, 'GitHub Actions'), 'yaml')[0] ?? '');

  test('prepares the warm machine once, starts every run from it, and fails if a test fails', async () => {
    const cache = temporaryDirectory();
    const first = await Runner.create(cache, { installs: true });
    expect(await first.workflow(steps)).toEqual({ status: 0, failed: null });
    expect(first.log).toEqual(['warmed', 'tested']);
    const second = await Runner.create(cache, { testStatus: TESTS_FAILED, installs: true });
    expect(await second.workflow(steps)).toEqual({ status: TESTS_FAILED, failed: 'Test' });
    expect(second.log).toEqual(['tested']);
    expect(second.ticksTested).toBeGreaterThanOrEqual(first.ticksWarmed);
    // The service was ended nevertheless.
    expect(existsSync(join(second.directory, 'vm.url'))).toBe(false);
    expect(await second.shell('vmferry status')).toMatchObject({ status: 3 });
  });

  test('prepares a new machine if the cached image is invalid or damaged', async () => {
    const cache = temporaryDirectory();
    const image = join(cache, 'disk0.qcow2');
    // The service refuses to open the first image; in the second one `verify` detects the damage.
    for (const damage of [() => Buffer.from('no image at all'), () => readFileSync(image).fill(0x55, 2 ** 20)]) {
      writeFileSync(image, damage());
      const first = await Runner.create(cache);
      expect(await first.workflow(steps)).toEqual({ status: 0, failed: null });
      expect(first.log).toEqual(['warmed', 'tested']);
    }
  });

  test('caches no image if preparing the machine fails', async () => {
    const cache = temporaryDirectory();
    const runner = await Runner.create(cache, { warmStatus: 1 });
    expect(await runner.workflow(steps)).toEqual({ status: 1, failed: 'Warm machine' });
    expect(existsSync(join(cache, 'disk0.qcow2'))).toBe(false);
  });

  test('has a last step that prints the log and succeeds in every state of the service', async () => {
    const [stop] = steps.filter(({ name }) => name === 'Stop');
    const runner = await Runner.create(temporaryDirectory());
    // Nothing was ever started.
    expect(await runner.shell(stop?.commands ?? '')).toMatchObject({ status: 0 });
    await runner.install(steps);
    expect(await runner.shell('./vm.sh start')).toMatchObject({ status: 0 });
    await runner.shell('kill -9 "$(cat vm.pid)"');
    const { status, output } = await runner.shell(stop?.commands ?? '');
    expect([status, output]).toEqual([0, expect.stringMatching(/^vmferry: http:/m)]);
    expect(await runner.shell('VMFERRY_RAM=5X ./vm.sh start')).toMatchObject({ status: 1 });
    const refused = await runner.shell(stop?.commands ?? '');
    expect(refused).toEqual({ status: 0, output: expect.stringContaining('--ram must be a size') });
  });

  test('gives two concurrent runs separate machines', async () => {
    const runners = await Promise.all([1, 2].map(() => Runner.create(temporaryDirectory(), { installs: true })));
    const start = async (runner: Runner): Promise<void> => {
      await runner.install(steps);
      expect(await runner.shell('./vm.sh start')).toMatchObject({ status: 0 });
    };
    await Promise.all(runners.map(start));
    const [first, second] = runners.map((runner) => readFileSync(join(runner.directory, 'vm.url'), 'utf8'));
    expect(first).not.toBe(second);
    expect(await runners[0]!.shell('vmferry snapshot save warm --quiet')).toEqual({ status: 0, output: 'warm\n' });
    expect(await runners[1]!.shell('vmferry snapshot load warm')).toMatchObject({ status: 4 });
  });
});

describeWithMounts('the GitHub workflow on a full disk', () => {
  test('fails with the reason and caches nothing, and the next run succeeds after the disk has space', async () => {
    const steps = workflowSteps(blocksOf(sectionOf(PAGE, 'GitHub Actions'), 'yaml')[0] ?? '');
    const cache = temporaryDirectory();
    const directory = smallDisk(SMALL_DISK_MIB);
    const full = await Runner.create(cache, { directory });
    expect(await full.workflow(steps)).toEqual({ status: expect.any(Number), failed: 'Warm machine' });
    expect(full.output).toMatch(/no_space|no space|ENOSPC/i);
    expect(existsSync(join(cache, 'disk0.qcow2'))).toBe(false);
    execFileSync('mount', ['-o', 'remount,size=256m', directory]);
    const next = await Runner.create(cache, { directory });
    expect(await next.workflow(steps)).toEqual({ status: 0, failed: null });
    expect(existsSync(join(cache, 'disk0.qcow2'))).toBe(true);
  });
});

describe('the GitLab jobs', () => {
  const [configuration = ''] = blocksOf(sectionOf(PAGE, 'GitLab CI'), 'yaml');
  const before = gitlabCommands(configuration, '.vmferry', 'before_script');
  const after = gitlabCommands(configuration, '.vmferry', 'after_script');

  test('prepare the warm machine if it is missing, and use it', async () => {
    const cache = temporaryDirectory();
    let installs = true;
    const warm = before + gitlabCommands(configuration, 'warm', 'script');
    for (const expected of [['warmed'], []]) {
      const runner = await Runner.create(cache, { installs });
      installs = false;
      runner.restore();
      expect(await runner.shell(warm)).toMatchObject({ status: 0 });
      expect(await runner.shell(after)).toMatchObject({ status: 0 });
      runner.save();
      expect(runner.log).toEqual(expected);
    }
    const runner = await Runner.create(cache);
    runner.restore();
    const script = before + gitlabCommands(configuration, 'test', 'script');
    expect(await runner.shell(script)).toMatchObject({ status: 0 });
    expect(await runner.shell(after)).toMatchObject({ status: 0 });
    expect(runner.log).toEqual(['tested']);
  });
});

describeWithQemu('the machine of QEMU', () => {
  test('is prepared by QEMU, stored by the service, and continues in another QEMU', async () => {
    const runner = await Runner.create(temporaryDirectory());
    runner.write('qemu.sh', blocksOf(sectionOf(PAGE, 'A machine of QEMU'), 'sh')[0] ?? '');
    runner.write('warm-up.sh', '[ -p vm/monitor ] && echo warmed >>log');
    runner.linkCommand();
    const made = await runner.shell('./qemu.sh make');
    expect(made, made.output).toMatchObject({ status: 0 });
    expect(runner.log).toEqual(['warmed']);
    const used = await runner.shell("printf 'info status\\nquit\\n' | ./qemu.sh run");
    expect(used).toMatchObject({ status: 0, output: expect.stringContaining('VM status: running') });
  });
});

describe('the shell blocks', () => {
  test('save, verify and load with curl alone, and the blocks on waiting, caching and cleaning up work as documented', async () => {
    const runner = await Runner.create(temporaryDirectory());
    const blocks = blocksOf(sectionOf(PAGE, 'With curl alone'), 'sh');
    expect(blocks).toHaveLength(4);
    const [functionBlock = '', ...steps] = blocks;
    await runner.startService();
    const first = await runner.shell(`${functionBlock}\n${steps.at(-1)}\n${steps.join('\n')}`);
    expect(first).toMatchObject({ status: 0 });
    expect(first.output).toContain('There is no snapshot yet.');
    expect(first.output).toContain('The machine is warm.');
    const again = `${functionBlock}\nsnapshot_job POST /snapshots other '{"tag":"warm"}'`;
    expect(await runner.shell(again)).toMatchObject({ status: 1, output: expect.stringContaining('snapshot_exists') });

    for (const title of ['Waiting', 'Caching the image', 'Cleaning up']) {
      const commands = blocksOf(sectionOf(PAGE, title), 'sh');
      expect(commands.length, title).toBeGreaterThan(0);
      const more = ['other', 'one of two', '-x'].map((tag) => `vmferry snapshot save -- '${tag}'`).join('\n');
      const block = commands.join(`\n${more}\n`);
      expect(await runner.shell(block), title).toMatchObject({ status: 0 });
    }
    expect((await runner.shell('vmferry snapshot list -q')).output).toBe('warm\n');
    expect(existsSync(join(runner.directory, 'run/disk0.qcow2'))).toBe(true);
  });
});

test('the function for curl repeats a request while an earlier attempt is in progress, and not if the key belongs to another request', async () => {
  const runner = await Runner.create(temporaryDirectory());
  const [functionBlock = ''] = blocksOf(sectionOf(PAGE, 'With curl alone'), 'sh');
  /** A replacement for curl with the answers of a service, in order. */
  const answer = (...answers: readonly (readonly [status: number, body: string])[]) =>
    [
      'sleep() { :; }',
      'curl() { echo >>asked; case $(wc -l <asked) in',
      ...answers.map(([status, body], at) => `${at + 1}) echo '${body}' >job.json; printf ${status} ;;`),
      'esac; }',
    ].join('\n');
  const run = (stub: string) =>
    runner.shell(`rm -f asked\n${stub}\n${functionBlock}\nsnapshot_job POST /snapshots k '{}'`);
  const [held, reused] = ['idempotency_key_in_use', 'idempotency_key_reused'].map((code) => `{"code":"${code}"}`);
  const done = [200, '{"outcome":"completed"}'] as const;
  expect(await run(answer([409, held!], [202, '{}'], done))).toEqual({ status: 0, output: '' });
  expect(await run(answer([422, reused!], done))).toEqual({ status: 1, output: `${reused}\n` });
});

describe('the table of exit statuses', () => {
  test('is the same in docs/ci.md and in --help', () => {
    const rows = [
      ...sectionOf(PAGE, 'Exit statuses')
        .replaceAll('`', '')
        .matchAll(/^\| ([\d, ]+) \| (.*?) \|/gm),
    ];
    const inPage = rows.flatMap(([, numbers = '', meaning]) =>
      numbers.split(', ').map((text) => [Number(text), meaning]),
    );
    expect(inPage.map(([status]) => status)).toEqual(EXIT_STATUSES.map(([status]) => status));
    expect(inPage.slice(0, -2)).toEqual(EXIT_STATUSES.slice(0, -2).map((row) => [...row]));
  });
});

function linkAnew(target: string, path: string): void {
  rmSync(path, { force: true });
  symlinkSync(target, path);
}

type RunnerSetup = {
  readonly warmStatus?: number;
  readonly testStatus?: number;
  /** Clones and installs with the real git and npm. */
  readonly installs?: boolean;
  /** The working directory; default: a new folder. */
  readonly directory?: string;
};

/** A new CI machine: an empty folder with the checkout, and a cache that outlives the machine. */
class Runner {
  readonly directory: string;
  /** The output of the steps of its workflow. */
  output = '';
  readonly #cache: string;
  readonly #environment: Record<string, string>;

  static async create(
    cache: string,
    { warmStatus = 0, testStatus = 0, installs = false, directory = temporaryDirectory() }: RunnerSetup = {},
  ): Promise<Runner> {
    const runner = new Runner(directory, cache);
    if (installs) runner.#takeRealTools();
    else runner.#takeInstalled();
    runner.#script('vm.sh', scriptOfPage());
    runner.#script('warm-up.sh', `( ${TICKS} ) >warm.ticks || exit 1; echo warmed >>log; exit ${warmStatus}`);
    runner.#script('run-tests.sh', `( ${TICKS} ) >test.ticks || exit 1; echo tested >>log; exit ${testStatus}`);
    onTestFinished(() => runner.shell('kill -9 $(cat vm.pid) 2>/dev/null || true').then(() => {}));
    return runner;
  }

  private constructor(directory: string, cache: string) {
    this.directory = directory;
    this.#cache = cache;
    mkdirSync(join(directory, 'tools'), { recursive: true });
    linkAnew(process.execPath, join(directory, 'tools/node'));
    this.#environment = {
      PATH: [`${directory}/bin`, `${directory}/tools`, process.env.PATH].join(':'),
      HOME: directory,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
      GITHUB_PATH: join(directory, 'path'),
      GITHUB_RUN_ID: '4711',
      CI_PIPELINE_ID: '4711',
      RUN_ID: '4711',
      ATTEMPT: '1',
      GITHUB_OUTPUT: join(directory, 'output'),
      VMFERRY_URL_FILE: join(directory, 'vm.url'),
      VMFERRY_RAM: '16M',
      VMFERRY_WORKLOAD: 'rate=2M,span=4M',
    };
  }

  /** The system's git and npm. The repository is the present state of this checkout; npm uses its cache if possible. */
  #takeRealTools(): void {
    const settings = `[url "file://${repositoryOfThisCheckout()}"]\n\tinsteadOf = ${REPOSITORY}\n`;
    writeFileSync(join(this.directory, '.gitconfig'), settings);
    Object.assign(this.#environment, npmSettings());
  }

  /** This installed checkout, with a git and an npm that do nothing. */
  #takeInstalled(): void {
    linkAnew(ROOT, join(this.directory, 'vmferry'));
    for (const name of ['npm', 'git']) this.#script(`tools/${name}`, 'exit 0');
  }

  get log(): string[] {
    const path = join(this.directory, 'log');
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }

  get ticksWarmed(): number {
    return Number(readFileSync(join(this.directory, 'warm.ticks'), 'utf8'));
  }

  get ticksTested(): number {
    return Number(readFileSync(join(this.directory, 'test.ticks'), 'utf8'));
  }

  /** Runs steps as GitHub does: each in its own shell, and none after a failed one unless it always runs. */
  async workflow(steps: readonly WorkflowStep[]): Promise<{ status: number; failed: string | null }> {
    let ended = { status: 0, failed: null as string | null };
    for (const { name, uses, condition, commands, path } of steps) {
      const isWanted = condition === 'always()' || (ended.failed === null && (condition === null || this.#hasMade()));
      if (!isWanted) continue;
      if (uses?.startsWith('actions/checkout') && path !== null) await this.#checkOut(path);
      if (uses?.startsWith('actions/cache/restore')) this.restore();
      if (uses?.startsWith('actions/cache/save')) this.save();
      const { status, output } = await this.shell(commands ?? '');
      this.output += output;
      if (status !== 0) {
        expect(output, `step "${name}"`).not.toContain('command not found');
        ended = { status, failed: ended.failed ?? name };
      }
    }
    return ended;
  }

  async #checkOut(path: string): Promise<void> {
    const { status, output } = await this.shell(`git clone --quiet --depth 1 ${REPOSITORY} ${path}`);
    expect(status, output).toBe(0);
  }

  /** The steps that install the program on a runner. */
  async install(steps: readonly WorkflowStep[]): Promise<void> {
    for (const { uses, path } of steps) {
      if (uses?.startsWith('actions/checkout') && path !== null) await this.#checkOut(path);
    }
    const [step] = steps.filter(({ name }) => name === 'Install');
    expect(await this.shell(step?.commands ?? '')).toMatchObject({ status: 0 });
  }

  /** The value of `steps.warm.outputs.made == 'true'`. */
  #hasMade(): boolean {
    const path = this.#environment.GITHUB_OUTPUT ?? '';
    return existsSync(path) && /^made=true$/m.test(readFileSync(path, 'utf8'));
  }

  restore(): void {
    const image = join(this.#cache, 'disk0.qcow2');
    if (!existsSync(image)) return;
    mkdirSync(join(this.directory, 'vm'), { recursive: true });
    copyFileSync(image, join(this.directory, IMAGE));
  }

  save(): void {
    copyFileSync(join(this.directory, IMAGE), join(this.#cache, 'disk0.qcow2'));
  }

  /** The first steps of every job of the page, without the warm machine. */
  async startService(): Promise<void> {
    const [configuration = ''] = blocksOf(sectionOf(PAGE, 'GitLab CI'), 'yaml');
    const commands = gitlabCommands(configuration, '.vmferry', 'before_script');
    expect(await this.shell(commands.replace('./vm.sh warm', './vm.sh start'))).toMatchObject({ status: 0 });
  }

  /** With the address of the service as a variable, for curl, if there is one. */
  shell(commands: string): Promise<Outcome> {
    const options = { cwd: this.directory, env: this.#environment };
    return new Promise((resolve) => {
      const ended = (error: ExecFileException | null, stdout: string, stderr: string): void =>
        resolve({ status: error === null ? 0 : Number(error.code ?? -1), output: stdout + stderr });
      execFile('bash', ['-e', '-o', 'pipefail', '-c', `${ADDRESS}\n${commands}`], options, ended);
    });
  }

  /** A script of the project under test. */
  write(name: string, commands: string): void {
    this.#script(name, commands);
  }

  /** `vmferry`, if no recipe has added it to the path. */
  linkCommand(): void {
    mkdirSync(join(this.directory, 'bin'), { recursive: true });
    symlinkSync(join(this.directory, 'vmferry/bin/vmferry.js'), join(this.directory, 'bin/vmferry'));
  }

  #script(name: string, commands: string): void {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, commands.startsWith('#!') ? commands : `#!/bin/bash\n${commands}\n`);
    chmodSync(path, 0o755);
  }
}

/** The variables for curl in place of VMFERRY_URL_FILE. */
const ADDRESS = '[ ! -e "$VMFERRY_URL_FILE" ] || export VMFERRY_URL="$(cat "$VMFERRY_URL_FILE")"';

/** The script that the jobs call. */
function scriptOfPage(): string {
  return blocksOf(sectionOf(PAGE, 'The script'), 'sh')[0] ?? '';
}

/** Prints the ticks of the guest after three ticks; fails if the guest has detected damage in its memory. */
const TICKS = `for look in $(seq 1 1000); do
  ticks=$(curl -sS --fail "$(cat "$VMFERRY_URL_FILE")/machine" | sed -n 's/.*"ticks":\\([0-9]*\\),.*"panic":null.*/\\1/p')
  [ -n "$ticks" ] || exit 1
  [ "$ticks" -lt 3 ] || break
  sleep 0.05
done
echo "$ticks"`;
