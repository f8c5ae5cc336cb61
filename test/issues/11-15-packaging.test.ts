// There was no manual page and no systemd unit. Each user wrote a unit, with time limits shorter than the drain of
// the service and a restart after an invalid flag. The page is generated from the grammar of the command line, so no
// flag can be missing. The programs that read the page and the units check them here.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { manPage } from '../../scripts/man-page/page.ts';
import { FLAGS } from '../../src/config/flags.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { describeNeeding } from '../helpers/needs.ts';

const PACKAGING = join(import.meta.dirname, '../../packaging');
const PAGE = join(PACKAGING, 'vmferry.1');
const UNITS = ['vmferry.service', 'vmferry@.service'] as const;

function missing(program: string): string | null {
  return spawnSync(program, ['--version']).error === undefined ? null : `There is no ${program}`;
}

function unitOf(name: string): string {
  return readFileSync(join(PACKAGING, 'systemd', name), 'utf8');
}

describe('the manual page', () => {
  test('is generated from the grammar of the command line', () => {
    expect(readFileSync(PAGE, 'utf8') === manPage()).toBe(true);
  });

  test('names every flag of the service and every command of the client', () => {
    const text = readFileSync(PAGE, 'utf8').replaceAll('\\-', '-');
    for (const flag of Object.keys(FLAGS)) expect(text).toContain(`--${flag}`);
    for (const command of ['migrate', 'snapshot save', 'jobs cancel', 'wait', 'console', 'history']) {
      expect(text).toContain(`.SS "vmferry ${command}`);
    }
  });
});

describeNeeding({ name: 'man', missing: missing('man'), optional: true }, () => {
  test('formats the page without a warning', () => {
    const shown = spawnSync('man', ['--warnings', '-l', '-Tutf8', '-Z', PAGE], { encoding: 'utf8' });
    expect([shown.status, shown.stderr]).toEqual([0, '']);
  });
});

describe.each(UNITS)('the unit %s', (name) => {
  const unit = unitOf(name);
  const settingOf = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? '';

  test('starts the service with existing flags, and does not restart it after an invalid flag', () => {
    const flags = [...settingOf('ExecStart').matchAll(/--([a-z-]+)/g)].map((match) => match[1] ?? '');
    expect(flags.length).toBeGreaterThan(0);
    expect(flags.filter((flag) => !Object.hasOwn(FLAGS, flag))).toEqual([]);
    expect(settingOf('RestartPreventExitStatus')).toBe('2');
  });

  test('allows the service more time to end than its drain takes', () => {
    const drainSeconds = Number(/\[(\d+)\]/.exec(FLAGS['drain-timeout'].help)?.[1]);
    expect(Number(settingOf('TimeoutStopSec'))).toBeGreaterThan(drainSeconds * 2);
  });
});

describeNeeding({ name: 'systemd-analyze', missing: missing('systemd-analyze'), optional: true }, () => {
  /** The output of the program for units with these texts. */
  function verify(texts: readonly string[]): string {
    const root = temporaryDirectory();
    const folder = join(root, 'etc/systemd/system');
    mkdirSync(folder, { recursive: true });
    mkdirSync(join(root, 'usr/bin'), { recursive: true });
    writeFileSync(join(root, 'usr/bin/vmferry'), '#!/bin/sh\n', { mode: 0o755 });
    const units = texts.map((text, index) => {
      const unit = join(folder, (UNITS[index] ?? '').replace('@.', '@a.'));
      writeFileSync(unit, text);
      return unit;
    });
    const options = ['verify', '--man=no', '--recursive-errors=no', `--root=${root}`];
    const { stdout, stderr } = spawnSync('systemd-analyze', [...options, ...units], { encoding: 'utf8' });
    return stdout + stderr;
  }

  test('reports no problem in the units', () => {
    expect(verify(UNITS.map(unitOf))).toBe('');
  });

  test('reports an unknown setting', () => {
    expect(verify([unitOf(UNITS[0]).replace('UMask', 'Umaks')])).toContain('Umaks');
  });
});
