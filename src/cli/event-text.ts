import type { ServiceEvent } from './event-reader.ts';
import { isRecord, numberOf } from './json-values.ts';
import { oneLine } from './output/plain-text.ts';
import type { Paint } from './paint.ts';

/* Events as lines for people. */

/** `02:15:26.120  #7  MIGRATION  status=active`. */
export function eventLine({ id, name, body }: ServiceEvent, paint: Paint): string {
  if (name === 'gap') return paint('red', `events ${body.from} to ${body.to} are no longer kept`);
  const at = timeOf(body.timestamp);
  const parts = [at === null ? '' : `${at}  `, id === null ? '' : `#${id}  `];
  return `${paint('dim', parts.join(''))}${paint(colourOf(name), oneLine(name))}${dataText(body.data)}`;
}

function colourOf(name: string): Parameters<Paint>[0] {
  if (/PANIC|ERROR|FAIL/.test(name)) return 'red';
  return /^(?:STOP|RESUME|SHUTDOWN|RESET)/.test(name) ? 'cyan' : 'yellow';
}

function dataText(data: unknown): string {
  if (!isRecord(data)) return '';
  const members = Object.entries(data).map(([name, value]) => `${name}=${valueText(value)}`);
  return members.length === 0 ? '' : `  ${oneLine(members.join(' '))}`;
}

function valueText(value: unknown): string {
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}

/** The local time of day. */
function timeOf(timestamp: unknown): string | null {
  const seconds = isRecord(timestamp) ? numberOf(timestamp.seconds) : null;
  const microseconds = isRecord(timestamp) ? numberOf(timestamp.microseconds) : null;
  if (seconds === null) return null;
  const date = new Date(seconds * 1000 + Math.floor((microseconds ?? 0) / 1000));
  const digits = (value: number, count: number): string => String(value).padStart(count, '0');
  const [hours, minutes, secs] = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => digits(part, 2));
  return `${hours}:${minutes}:${secs}.${digits(date.getMilliseconds(), 3)}`;
}

/** An event of the machine as --json tells it. */
export function eventObject(id: string, body: ServiceEvent['body']): object {
  return { type: 'event', id: Number(id), ...body };
}
