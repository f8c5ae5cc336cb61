// A process of event readers: readers.ts URL READERS DEAF. It prints `open`, reads the number of an event as a line,
// waits until all reading clients have received this event, and prints their results.

import { createInterface } from 'node:readline';
import { readEvents } from '../../helpers/event-reader.ts';

/** The polling interval: this process shares the cores with the measured service. */
const LOOK_MS = 50;

const [url = '', readers = '0', deaf = '0'] = process.argv.slice(2);
const open = (count: string, isDeaf: boolean) =>
  Array.from({ length: Number(count) }, () => readEvents(url, { since: 0, isDeaf }));
const [reading, ignoring] = [open(readers, false), open(deaf, true)];
await Promise.all([...reading, ...ignoring].map(({ opened }) => opened));
console.log('open');

for await (const line of createInterface({ input: process.stdin })) {
  const newest = Number(line);
  while (reading.some(({ last, faults }) => last() < newest && faults.length === 0)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  const faults = reading.flatMap((reader) => reader.faults).slice(0, 10);
  console.log(JSON.stringify({ faults, furthest: Math.max(0, ...ignoring.map(({ last }) => last())) }));
}
