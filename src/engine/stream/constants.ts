/** Numbers of QEMU's migration stream, version 3. See docs/wire-format.md. */
export const STREAM_MAGIC = 0x5145564d;
export const STREAM_VERSION = 3;

/** Type byte of an element. */
export const ELEMENT = {
  eof: 0x00,
  sectionStart: 0x01,
  sectionPart: 0x02,
  sectionEnd: 0x03,
  sectionFull: 0x04,
  subsection: 0x05,
  vmDescription: 0x06,
  configuration: 0x07,
  command: 0x08,
  footer: 0x7e,
} as const;

/** Low 12 bits of the 64-bit word that begins a RAM record. */
export const RAM_FLAG = {
  zero: 0x02,
  memSize: 0x04,
  page: 0x08,
  eos: 0x10,
  continue: 0x20,
  xbzrle: 0x40,
  hook: 0x80,
  compressPage: 0x100,
  multifdFlush: 0x200,
} as const;
export const RAM_FLAGS_MASK = 0xfff;

export const RAM_SECTION = { idstr: 'ram', instanceId: 0, versionId: 4 } as const;

export const COMMAND = {
  openReturnPath: 1,
  ping: 2,
  postcopyAdvise: 3,
  postcopyListen: 4,
  postcopyRun: 5,
  postcopyRamDiscard: 6,
  packaged: 7,
  enableColo: 8,
  postcopyResume: 9,
  recvBitmap: 10,
  switchoverStart: 11,
} as const;

/** Messages from the target to the source. */
export const REVERSE = {
  shut: 1,
  pong: 2,
  requestPagesId: 3,
  requestPages: 4,
  receivedBitmap: 5,
  resumeAck: 6,
  switchoverAck: 7,
} as const;

/** Longest machine name that is accepted, in bytes. The field allows 2^32 - 1. */
export const MACHINE_NAME_BYTES_MAX = 255;
/** Longest vmdescription that is accepted, in bytes; a real one has about 100 KiB. */
export const VM_DESCRIPTION_BYTES_MAX = 16 * 2 ** 20;
/** The same for a machine with known devices: its vmdescription is read in one piece, so it must fit into the input buffer. */
export const KNOWN_DESCRIPTION_BYTES_MAX = 512 * 1024;
/** Bytes of all device sections of a stream, at most; a real machine has about 100 KiB, one with a large GPU some MiB. */
export const DEVICE_BYTES_MAX = 64 * 2 ** 20;
/** RAM blocks in a stream, at most. */
export const RAM_BLOCKS_MAX = 1024;
