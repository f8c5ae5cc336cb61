/**
 * The guest that real QEMUs run in the tests: a few hundred bytes of x86 code that notice a bad migration.
 *
 * On every timer interrupt the guest writes one line `T xxxxxxxx` (a counter from 1 on, eight hexadecimal digits) to
 * COM1 and then visits some pages of a ring. Visit number v fills page v mod ring size with the dwords
 * v + i x 0x9e3779b1; from the second lap on it first checks that the page holds what the visit one lap earlier wrote.
 * A stale, lost, swapped or shifted page therefore ends in the line `E xxxxxxxx` (the linear address of the wrong
 * dword), after which the guest halts for good. The counter lives in a register and in memory, and the two are compared.
 *
 * Memory: 0x7000 stack top, 0x8000 interrupt table, 0x9000 copy of the counter, ringStartBytes.. the ring.
 *
 * The same code runs as a firmware of its own (no SeaBIOS: starts at once, touches next to no memory) or as a boot
 * sector behind SeaBIOS (a machine as people have it).
 */
import { Assembler, type CodeOrigin } from './assembler.ts';

export type GuestSettings = {
  /** Linear address of the ring; a multiple of the page size, not below 1 MiB. */
  readonly ringStartBytes: number;
  /** Pages of the ring; a power of two. */
  readonly ringPages: number;
  /** Pages visited per tick; 0 gives a guest that hardly dirties anything. */
  readonly pagesPerTick: number;
  /** Timer interrupts, hence lines, per second. */
  readonly ticksPerSecond: number;
  /** The tick at whose end the guest suspends itself to RAM (S3, machine pc alone); 0: never. Woken, it counts on. */
  readonly suspendsAtTick: number;
};

/** 16 MiB from 1 MiB on, about 13 MB dirtied per second, a lap in about 1.3 s. Needs 32 MiB of RAM. */
export const GUEST_SETTINGS_DEFAULT: GuestSettings = {
  ringStartBytes: 0x10_0000,
  ringPages: 4096,
  pagesPerTick: 32,
  ticksPerSecond: 100,
  suspendsAtTick: 0,
};

const PAGE_BYTES = 4096;
const FIRMWARE_BYTES = 0x1_0000;
const FIRMWARE_ORIGIN: CodeOrigin = { linear: 0xf_0000, segmentBase: 0xf_0000 };
const RESET_VECTOR_OFFSET = 0xfff0;
const BOOT_SECTOR_ORIGIN: CodeOrigin = { linear: 0x7c00, segmentBase: 0 };
const BOOT_SECTOR_CODE_BYTES_MAX = 510;
const FLOPPY_BYTES = 1_474_560;

const STACK_TOP = 0x7000;
const INTERRUPT_TABLE = 0x8000;
const COUNTER_ADDRESS = 0x9000;
const LOCAL_APIC_LINT0 = 0xfee0_0350;
const LINT0_EXTERNAL = 0x700;
const TIMER_VECTOR = 0x20;
const TIMER_HZ = 1_193_182;
/** Ports of PCI configuration space: the address of a register, and its contents. */
const PCI_ADDRESS = 0xcf8;
const PCI_DATA = 0xcfc;
/** Registers of the PIIX4's function 1.3: the base of its power management ports, and what enables them. */
const PM_BASE = 0x8000_0b40;
const PM_ENABLE = 0x8000_0b80;
const PM_PORTS = 0x600;
const PM1_CONTROL = PM_PORTS + 4;
/** Sleep enable (bit 13), and in bits 10 to 12 what QEMU's tables name as S3. */
const SUSPEND_TO_RAM = 0x2400;
const DWORD_STEP = 0x9e3779b1;

// Branches with a 32-bit distance, named as an assembler would.
const JMP = [0xe9];
const CALL = [0xe8];
const JB = [0x0f, 0x82];
const JZ = [0x0f, 0x84];
const JNZ = [0x0f, 0x85];

/** The guest as a 64 KiB firmware, for `-bios`. */
export function buildGuestFirmware(settings: Partial<GuestSettings> = {}): Uint8Array {
  const image = new Uint8Array(FIRMWARE_BYTES);
  image.set(assembleGuest(FIRMWARE_ORIGIN, complete(settings)), 0);
  // Reset begins here: jmp far f000:0000.
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], RESET_VECTOR_OFFSET);
  return image;
}

/** The guest as a 1.44 MB floppy with a boot sector, for SeaBIOS to start. */
export function buildGuestFloppy(settings: Partial<GuestSettings> = {}): Uint8Array {
  const code = assembleGuest(BOOT_SECTOR_ORIGIN, complete(settings));
  if (code.length > BOOT_SECTOR_CODE_BYTES_MAX) {
    throw new Error(`The guest has ${code.length} bytes; a boot sector holds ${BOOT_SECTOR_CODE_BYTES_MAX}.`);
  }
  const image = new Uint8Array(FLOPPY_BYTES);
  image.set(code, 0);
  image.set([0x55, 0xaa], BOOT_SECTOR_CODE_BYTES_MAX);
  return image;
}

function complete(settings: Partial<GuestSettings>): GuestSettings {
  const all = { ...GUEST_SETTINGS_DEFAULT, ...settings };
  const { ringPages, ringStartBytes, ticksPerSecond } = all;
  if (ringPages < 1 || (ringPages & (ringPages - 1)) !== 0)
    throw new Error(`${ringPages} pages is not a power of two.`);
  if (ringStartBytes % PAGE_BYTES !== 0 || ringStartBytes < 0x10_0000)
    throw new Error(`Bad ring at ${ringStartBytes}.`);
  if (ticksPerSecond < 19 || ticksPerSecond > 1000)
    throw new Error(`${ticksPerSecond} ticks per second is not 19..1000.`);
  return all;
}

function assembleGuest(origin: CodeOrigin, settings: GuestSettings): Uint8Array {
  const assembler = new Assembler(origin);
  emitProtectedMode(assembler);
  emitSerialSetup(assembler);
  emitTimerSetup(assembler, settings);
  emitCounters(assembler, settings);
  emitTick(assembler, settings);
  emitPrinting(assembler);
  emitTables(assembler);
  return assembler.finish();
}

/** From real mode to flat 32-bit segments, with address line 20 open. */
function emitProtectedMode(assembler: Assembler): void {
  assembler
    .emit(0xfa, 0xfc) // cli; cld
    .emit(0x2e, 0x66, 0x0f, 0x01, 0x16) // lgdt cs:[...]
    .segmentOffset('gdtPointer')
    .emit(0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0) // cr0 |= 1
    .emit(0x66, 0xea) // jmp far 0008:protected
    .linearAddress('protected')
    .emit(0x08, 0x00)
    .label('protected')
    .emit(0x66, 0xb8, 0x10, 0x00) // mov ax, 0x10
    .emit(0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0) // mov ds, es, ss = ax
    .emit(0xbc)
    .dword(STACK_TOP) // mov esp
    .emit(0xe4, 0x92, 0x0c, 0x02, 0x24, 0xfe, 0xe6, 0x92); // port 0x92: open A20, no reset
}

/** COM1: 115200 baud, 8N1, no interrupts, no FIFO. */
function emitSerialSetup(assembler: Assembler): void {
  const writes = [
    [0xf9, 0x00],
    [0xfb, 0x80],
    [0xf8, 0x01],
    [0xf9, 0x00],
    [0xfb, 0x03],
    [0xfc, 0x03],
  ] as const;
  assembler.emit(0xba).dword(0x3f8); // mov edx
  for (const [portLow, value] of writes) assembler.emit(0xb2, portLow, 0xb0, value, 0xee); // mov dl; mov al; out dx, al
}

/** The PIT interrupts through the master PIC at vector 0x20; everything else is masked. */
function emitTimerSetup(assembler: Assembler, settings: GuestSettings): void {
  const divisor = Math.round(TIMER_HZ / settings.ticksPerSecond);
  const gate = INTERRUPT_TABLE + TIMER_VECTOR * 8;
  assembler
    .emit(0xb8)
    .linearAddress('timerInterrupt') // mov eax
    .emit(0x66, 0xa3)
    .dword(gate) // gate.offsetLow = ax
    .emit(0x66, 0xc7, 0x05)
    .dword(gate + 2)
    .emit(0x08, 0x00) // gate.selector
    .emit(0xb4, 0x00, 0xc1, 0xe8, 0x10) // mov ah, 0; shr eax, 16
    .emit(0x66, 0xa3)
    .dword(gate + 6) // gate.offsetHigh
    .emit(0x66, 0xc7, 0x05)
    .dword(gate + 4)
    .emit(0x00, 0x8e) // gate.type: 32-bit interrupt gate
    .emit(0x0f, 0x01, 0x1d)
    .linearAddress('idtPointer') // lidt
    .emit(0xc7, 0x05)
    .dword(LOCAL_APIC_LINT0)
    .dword(LINT0_EXTERNAL); // without a BIOS the local APIC lets nothing of the PIC through
  const writes = [
    [0x20, 0x11],
    [0x21, TIMER_VECTOR],
    [0x21, 0x04],
    [0x21, 0x01],
    [0x21, 0xfe],
    [0xa1, 0xff],
    [0x43, 0x34],
    [0x40, divisor & 0xff],
    [0x40, divisor >> 8],
  ] as const;
  for (const [port, value] of writes) assembler.emit(0xb0, value, 0xe6, port); // mov al; out port, al
}

/**
 * ebp = counter, ebx = visits so far. A guest that suspends itself is reset when it is woken, and its memory is kept: it
 * takes the counter from there, which is 0 when the machine is new.
 */
function emitCounters(assembler: Assembler, { suspendsAtTick, pagesPerTick }: GuestSettings): void {
  if (suspendsAtTick === 0) {
    assembler
      .emit(0x31, 0xed, 0x31, 0xdb) // xor ebp, ebp; xor ebx, ebx
      .emit(0x89, 0x2d)
      .dword(COUNTER_ADDRESS); // mov [counter], ebp
  } else {
    assembler
      .emit(0x8b, 0x2d)
      .dword(COUNTER_ADDRESS) // mov ebp, [counter]
      .emit(0x69, 0xdd)
      .dword(pagesPerTick); // imul ebx, ebp, pagesPerTick
  }
}

/** A tick is a line, the visits, and the wait for the next interrupt. */
function emitTick(assembler: Assembler, settings: GuestSettings): void {
  assembler
    .label('tick')
    .emit(0xbf)
    .dword(COUNTER_ADDRESS) // mov edi, counter
    .emit(0x39, 0x2f) // cmp [edi], ebp
    .branch(JNZ, 'fail')
    .emit(0x45, 0x89, 0x2f) // inc ebp; mov [edi], ebp
    .emit(0xb0, 'T'.charCodeAt(0), 0x89, 0xee) // mov al, 'T'; mov esi, ebp
    .branch(CALL, 'printLine');
  if (settings.pagesPerTick > 0) emitVisits(assembler, settings);
  if (settings.suspendsAtTick > 0) emitSuspend(assembler, settings);
  assembler
    .emit(0xfb, 0xf4, 0xfa) // sti; hlt; cli
    .branch(JMP, 'tick')
    .label('fail')
    .emit(0xb0, 'E'.charCodeAt(0), 0x89, 0xfe) // mov al, 'E'; mov esi, edi
    .branch(CALL, 'printLine')
    .label('stopped')
    .emit(0xfa, 0xf4) // cli; hlt
    .branch(JMP, 'stopped')
    .label('timerInterrupt')
    .emit(0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf); // push eax; end of interrupt; pop eax; iret
}

function emitVisits(assembler: Assembler, settings: GuestSettings): void {
  const { ringPages, ringStartBytes, pagesPerTick } = settings;
  const dwords = PAGE_BYTES / 4;
  assembler
    .emit(0xba)
    .dword(pagesPerTick) // mov edx
    .label('visit')
    .emit(0x89, 0xdf, 0x81, 0xe7)
    .dword(ringPages - 1) // mov edi, ebx; and edi
    .emit(0xc1, 0xe7, 0x0c, 0x81, 0xc7)
    .dword(ringStartBytes) // shl edi, 12; add edi
    .emit(0x89, 0xd8, 0x2d)
    .dword(ringPages) // mov eax, ebx; sub eax
    .branch(JB, 'fill')
    .emit(0xb9)
    .dword(dwords) // mov ecx
    .label('check')
    .emit(0x39, 0x07) // cmp [edi], eax
    .branch(JNZ, 'fail')
    .emit(0x83, 0xc7, 0x04, 0x05)
    .dword(DWORD_STEP) // add edi, 4; add eax
    .emit(0x49) // dec ecx
    .branch(JNZ, 'check')
    .emit(0x81, 0xef)
    .dword(PAGE_BYTES) // sub edi
    .label('fill')
    .emit(0x89, 0xd8, 0xb9)
    .dword(dwords) // mov eax, ebx; mov ecx
    .label('store')
    .emit(0xab, 0x05)
    .dword(DWORD_STEP) // stosd; add eax
    .emit(0x49) // dec ecx
    .branch(JNZ, 'store')
    .emit(0x43, 0x4a) // inc ebx; dec edx
    .branch(JNZ, 'visit');
}

/** At its tick the guest gives the PIIX4 its power management ports, enables them, and asks to sleep. */
function emitSuspend(assembler: Assembler, { suspendsAtTick }: GuestSettings): void {
  const writes = [
    [PCI_ADDRESS, PM_BASE],
    [PCI_DATA, PM_PORTS],
    [PCI_ADDRESS, PM_ENABLE],
    [PCI_DATA, 1],
  ] as const;
  assembler
    .emit(0x81, 0xfd)
    .dword(suspendsAtTick) // cmp ebp
    .branch(JNZ, 'awake');
  for (const [port, value] of writes) assembler.emit(0xba).dword(port).emit(0xb8).dword(value).emit(0xef); // mov edx; mov eax; out dx, eax
  assembler
    .emit(0xba)
    .dword(PM1_CONTROL) // mov edx
    .emit(0xb8)
    .dword(SUSPEND_TO_RAM) // mov eax
    .emit(0x66, 0xef) // out dx, ax
    .label('awake');
}

/** printLine: the letter in al, a space, esi in hexadecimal, a newline. */
function emitPrinting(assembler: Assembler): void {
  assembler
    .label('printLine')
    .branch(CALL, 'printByte')
    .emit(0xb0, 0x20) // mov al, ' '
    .branch(CALL, 'printByte')
    .emit(0xb9)
    .dword(8) // mov ecx
    .label('digit')
    .emit(0xc1, 0xc6, 0x04) // rol esi, 4
    .emit(0x89, 0xf0, 0x24, 0x0f, 0x3c, 0x0a) // mov eax, esi; and al, 15; cmp al, 10
    .branch(JB, 'decimal')
    .emit(0x04, 0x27) // add al, 'a' - 10 - '0'
    .label('decimal')
    .emit(0x04, 0x30) // add al, '0'
    .branch(CALL, 'printByte')
    .emit(0x49) // dec ecx
    .branch(JNZ, 'digit')
    .emit(0xb0, 0x0a) // mov al, newline; falls into printByte
    .label('printByte')
    .emit(0x88, 0xc4, 0xba)
    .dword(0x3fd) // mov ah, al; mov edx
    .label('busy')
    .emit(0xec, 0xa8, 0x20) // in al, dx; test al, transmitter empty
    .branch(JZ, 'busy')
    .emit(0xb2, 0xf8, 0x88, 0xe0, 0xee, 0xc3); // mov dl, 0xf8; mov al, ah; out dx, al; ret
}

/** Descriptors have their accessed bit set, for the CPU cannot set it in a ROM. */
function emitTables(assembler: Assembler): void {
  assembler
    .label('gdt')
    .emit(0, 0, 0, 0, 0, 0, 0, 0)
    .emit(0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0)
    .emit(0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0)
    .label('gdtPointer')
    .emit(0x17, 0x00)
    .linearAddress('gdt')
    .label('idtPointer')
    .emit((TIMER_VECTOR + 1) * 8 - 1, 0x01)
    .dword(INTERRUPT_TABLE);
}
