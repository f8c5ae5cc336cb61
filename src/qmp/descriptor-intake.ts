import { closeSync } from 'node:fs';
import type { Socket } from 'node:net';
import { koffi, libcFunction } from '../native/c-library.ts';

/*
 * Reads a client's bytes and the file descriptors that come with them (SCM_RIGHTS). Node reads sockets with read(2), and the system
 * then closes the descriptors. Therefore Node's internal handle is given a buffer of 0 bytes: it calls back whenever the socket is
 * readable but reads nothing, and this file calls recvmsg(2). Node itself handles the end of the stream. See
 * docs/adr/0050-file-descriptors-over-qmp-by-recvmsg.md.
 */

/** Receives bytes, and the descriptors that came with them, which it then owns. */
export type Received = (chunk: Buffer, descriptors: readonly number[]) => void;

export type Intake = {
  /** True if descriptors can come. */
  readonly takesDescriptors: boolean;
  pause(): void;
  resume(): void;
};

/** Descriptors of one message, as in QEMU. If a message has more, all of them are closed. */
export const MESSAGE_DESCRIPTORS_MAX = 16;

/** Constants of Linux's <sys/socket.h> and <errno.h>, equal on x86-64 and arm64. */
const MSG_CTRUNC = 0x8;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const TRY_AGAIN = [4, 11];

/** Offsets in the buffer: struct msghdr is at 0, then struct iovec, the control messages, and the received bytes. */
const VECTOR_AT = 56;
const CONTROL_AT = 80;
const CONTROL_HEADER_BYTES = 16;
const CONTROL_BYTES = CONTROL_HEADER_BYTES + MESSAGE_DESCRIPTORS_MAX * 4;
const DATA_AT = 256;
const DATA_BYTES = 65_536;

type Message = { readonly count: number; readonly errno: number; readonly descriptors: readonly number[] };
type Receiver = (fd: number) => Message;

/** The members of Node's internal handle that are used. Another version of Node may lack them. */
type Handle = {
  readonly fd: number;
  reading: boolean;
  onread: (...args: unknown[]) => unknown;
  useUserBuffer(buffer: Uint8Array): void;
  readStart(): number;
  readStop(): number;
};

/** Reads a socket with Node's own functions; descriptors are lost. */
export function plainIntake(socket: Socket, received: Received): Intake {
  socket.on('data', (chunk: Buffer) => received(chunk, []));
  return { takesDescriptors: false, pause: () => socket.pause(), resume: () => socket.resume() };
}

/**
 * Reads an accepted unix socket from which nothing has been read yet (`pauseOnConnect`). `resume` starts it. If Node's handle or
 * recvmsg is not as expected, this is a `plainIntake`.
 */
export function descriptorIntake(socket: Socket, received: Received): Intake {
  const handle = handleOf(socket);
  const receive = receiver();
  if (handle === null || receive === null) return plainIntake(socket, received);
  const readOfNode = handle.onread;
  let isLeftToNode = false;
  handle.useUserBuffer(Buffer.alloc(1).subarray(0, 0));
  handle.onread = () => {
    const { count, errno, descriptors } = receive(handle.fd);
    if (count > 0) received(takeChunk(count), descriptors);
    else if (count === 0) {
      isLeftToNode = true;
      handle.onread = readOfNode;
      return Buffer.alloc(1);
    } else if (!TRY_AGAIN.includes(errno)) socket.destroy();
    return undefined;
  };
  const set = (reading: boolean): void => {
    if (isLeftToNode || socket.destroyed || handle.reading === reading) return;
    handle.reading = reading;
    if (reading) handle.readStart();
    else handle.readStop();
  };
  return { takesDescriptors: true, pause: () => set(false), resume: () => set(true) };
}

export function closeDescriptor(descriptor: number): void {
  closeSync(descriptor);
}

function handleOf(socket: Socket): Handle | null {
  const handle: Partial<Handle> | null | undefined = Reflect.get(socket, '_handle');
  if (handle === undefined || handle === null) return null;
  const { fd, onread, useUserBuffer, readStart, readStop } = handle;
  const calls = [onread, useUserBuffer, readStart, readStop];
  if (typeof fd !== 'number' || fd < 0 || calls.some((call) => typeof call !== 'function')) return null;
  return handle as Handle;
}

const memory = new ArrayBuffer(DATA_AT + DATA_BYTES);
const view = new DataView(memory);
let made: Receiver | null | undefined;

/** A function that calls recvmsg with the buffer; null on systems whose structures are not known. */
function receiver(): Receiver | null {
  if (made !== undefined) return made;
  made = null;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  try {
    const { address, errno } = koffi();
    const whole = new Uint8Array(memory);
    const base = BigInt(address(whole));
    const recvmsg = libcFunction('int64_t recvmsg(int fd, void *message, int flags)');
    made = (fd) => {
      writeHeader(base);
      const count = Number(recvmsg(fd, whole, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
      if (count < 0) return { count, errno: errno(), descriptors: [] };
      return { count, errno: 0, descriptors: descriptorsThatCame() };
    };
  } catch {
    made = null;
  }
  return made;
}

function writeHeader(base: bigint): void {
  const words = [0n, 0n, base + BigInt(VECTOR_AT), 1n, base + BigInt(CONTROL_AT), BigInt(CONTROL_BYTES), 0n];
  words.push(base + BigInt(DATA_AT), BigInt(DATA_BYTES));
  for (const [index, word] of words.entries()) view.setBigUint64(index * 8, word, true);
}

/** Descriptors of the message. If it had more than `MESSAGE_DESCRIPTORS_MAX`, the received ones are closed. */
function descriptorsThatCame(): readonly number[] {
  const end = CONTROL_AT + Number(view.getBigUint64(40, true));
  const found: number[] = [];
  for (let at = CONTROL_AT; at + CONTROL_HEADER_BYTES <= end; ) {
    const bytes = Number(view.getBigUint64(at, true));
    if (bytes < CONTROL_HEADER_BYTES || at + bytes > end) break;
    if (view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS) {
      for (let one = at + CONTROL_HEADER_BYTES; one + 4 <= at + bytes; one += 4) found.push(view.getInt32(one, true));
    }
    at += Math.ceil(bytes / 8) * 8;
  }
  if ((view.getInt32(48, true) & MSG_CTRUNC) === 0) return found;
  for (const descriptor of found) closeDescriptor(descriptor);
  return [];
}

function takeChunk(count: number): Buffer {
  return Buffer.from(memory.slice(DATA_AT, DATA_AT + count));
}

/*
 * File descriptors that a client has sent and that no command has taken. As in QEMU they stay open until a command takes the first
 * of them, which closes the others, or until further descriptors arrive. A waiting command keeps the descriptors that were there
 * when it arrived.
 */

/** The descriptors of one message, and the number of commands that may still take them. */
export type Offer = { readonly descriptors: number[]; waiting: number };

export class OfferedDescriptors {
  readonly #close: (descriptor: number) => void;
  readonly #offers = new Set<Offer>();
  #newest: Offer | null = null;

  constructor(close: (descriptor: number) => void) {
    this.#close = close;
  }

  /** Takes ownership of received descriptors. Closes earlier ones that no waiting command may take. */
  add(descriptors: readonly number[]): void {
    if (descriptors.length === 0) return;
    const before = this.#newest;
    this.#newest = { descriptors: [...descriptors], waiting: 0 };
    this.#offers.add(this.#newest);
    if (before !== null) this.#closeIfDone(before);
  }

  /** The descriptors that a command which has just arrived may take. Call `release` when it is answered. */
  forCommand(): Offer | null {
    if (this.#newest !== null) this.#newest.waiting += 1;
    return this.#newest;
  }

  /** Takes the first descriptor and closes the others; null if there is none. */
  take(offer: Offer | null): number | null {
    const [first, ...others] = offer?.descriptors.splice(0) ?? [];
    for (const other of others) this.#close(other);
    return first ?? null;
  }

  /** Call this when the command is answered. */
  release(offer: Offer | null): void {
    if (offer === null) return;
    offer.waiting -= 1;
    this.#closeIfDone(offer);
  }

  closeAll(): void {
    this.#newest = null;
    for (const offer of this.#offers) this.#empty(offer);
  }

  #closeIfDone(offer: Offer): void {
    if (offer === this.#newest || offer.waiting > 0) return;
    this.#empty(offer);
  }

  #empty(offer: Offer): void {
    this.#offers.delete(offer);
    for (const descriptor of offer.descriptors.splice(0)) this.#close(descriptor);
  }
}
