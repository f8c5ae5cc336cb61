import { type ByteReader, StreamError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { COMMAND, ELEMENT } from './constants.ts';

/*
 * Commands: 08, u16 command, u16 length, length bytes; no footer.
 */

export type StreamCommand =
  | { readonly name: 'open-return-path' }
  | { readonly name: 'ping'; readonly value: number }
  | { readonly name: 'switchover-start' };

export function encodeCommand(command: StreamCommand): Uint8Array {
  const writer = new ByteWriter().u8(ELEMENT.command);
  if (command.name === 'ping') return writer.u16(COMMAND.ping).u16(4).u32(command.value).finish();
  const id = command.name === 'open-return-path' ? COMMAND.openReturnPath : COMMAND.switchoverStart;
  return writer.u16(id).u16(0).finish();
}

/** What follows the type byte. @throws StreamError for a command that is unknown, of a wrong length, or not done. */
export function decodeCommand(reader: ByteReader): StreamCommand {
  const id = reader.u16();
  const length = reader.u16();
  if (id === COMMAND.openReturnPath) return expectLength(id, length, 0) ?? { name: 'open-return-path' };
  if (id === COMMAND.switchoverStart) return expectLength(id, length, 0) ?? { name: 'switchover-start' };
  if (id === COMMAND.ping) return expectLength(id, length, 4) ?? { name: 'ping', value: reader.u32() };
  const name = Object.entries(COMMAND).find(([, value]) => value === id)?.[0];
  if (name === undefined) throw new StreamError('command_unknown', `the stream holds the unknown command ${id}`);
  throw new StreamError(
    'command_not_available',
    `the stream holds the command ${name}, which is not available in this version`,
  );
}

function expectLength(id: number, length: number, expected: number): null {
  if (length === expected) return null;
  throw new StreamError('command_broken', `command ${id} has ${length} bytes, not ${expected}`);
}
