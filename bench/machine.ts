import { spawnSync } from 'node:child_process';
import { cpus, release, totalmem } from 'node:os';
import { qemuBinary } from '../test/helpers/qemu/binaries.ts';
import { GIBIBYTE } from './bench.ts';

/** Properties of the machine that affect the figures. */
export function describeMachine(): Readonly<Record<string, string | number | null>> {
  const binary = qemuBinary();
  const version =
    binary === null ? null : spawnSync(binary, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0]!;
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    'memory-gib': Math.round(totalmem() / GIBIBYTE),
    kernel: release(),
    node: process.version,
    qemu: version,
  };
}
