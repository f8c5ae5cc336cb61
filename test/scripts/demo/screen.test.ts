import { expect, test } from 'vitest';
import { Screen } from '../../../scripts/demo/screen.ts';

const ERASE = '\r\u001b[2K';

function screenOn(output: { isTTY?: boolean; columns?: number }) {
  let written = '';
  const clock = { now: 0 };
  const write = (text: string): void => {
    written += text;
  };
  return { screen: new Screen({ ...output, write }, () => clock.now), clock, written: () => written };
}

test('a status is overwritten in place on a terminal', () => {
  const { screen, written } = screenOn({ isTTY: true });
  screen.status('one');
  screen.status('two');
  expect(written()).toBe(`${ERASE}one${ERASE}two`);
});

test('a line overwrites the status on a terminal', () => {
  const { screen, written } = screenOn({ isTTY: true });
  screen.status('one');
  screen.line('a line');
  screen.line('another');
  expect(written()).toBe(`${ERASE}one${ERASE}a line\nanother\n`);
});

test('a kept status is followed by the next line', () => {
  const { screen, written } = screenOn({ isTTY: true });
  screen.status('one');
  screen.keepStatus();
  screen.line('a line');
  expect(written()).toBe(`${ERASE}one\na line\n`);
});

test('a status that is wider than the terminal is cut, so that it stays on one line', () => {
  const { screen, written } = screenOn({ isTTY: true, columns: 10 });
  screen.status('123456789');
  screen.status('1234567890');
  expect(written()).toBe(`${ERASE}123456789${ERASE}12345678…`);
});

test('a pipe gets one status per second, as plain lines', () => {
  const { screen, clock, written } = screenOn({});
  for (const now of [0, 500, 999, 1000, 1400]) {
    clock.now = now;
    screen.status(`at ${now}`);
  }
  expect(written()).toBe('at 0\nat 1000\n');
});

test('a pipe gets the newest status once when it is kept', () => {
  const { screen, clock, written } = screenOn({});
  screen.status('first');
  clock.now = 10;
  screen.status('last');
  screen.keepStatus();
  screen.keepStatus();
  expect(written()).toBe('first\nlast\n');
});
