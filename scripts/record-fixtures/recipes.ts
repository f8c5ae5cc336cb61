/** The recorded streams, each with one feature. */
import type { QemuOptions } from '../../test/helpers/qemu/process.ts';

export type Recipe = {
  readonly name: string;
  /** Feature of the stream, one sentence for the README. */
  readonly shows: string;
  readonly qemu: '10.0' | '7.2';
  readonly options: QemuOptions;
  /** `file` is `migrate file:` (or exec:cat in 7.2); `relay` is a socket with a target behind it, both ways recorded. */
  readonly through: 'file' | 'relay';
  /** Number of the pass up to which the migration is held. Then it completes. */
  readonly passes?: number;
  /** Stops the guest before the migration. */
  readonly stopped?: boolean;
};

const UUID = '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab';
/** A guest that writes two pages per tick, in a ring of four pages. */
const SMALL_GUEST = { ringPages: 4, pagesPerTick: 2 };
const SMALL: QemuOptions = { ramMebibytes: 2, guest: SMALL_GUEST };

export const RECIPES: readonly Recipe[] = [
  {
    name: 'pc-10.0',
    shows: 'The plain case: one pass, machine type 10.0.',
    qemu: '10.0',
    options: SMALL,
    through: 'file',
  },
  {
    name: 'pc-10.0-passes',
    shows: 'A guest that goes on dirtying, held for four passes before the switchover.',
    qemu: '10.0',
    options: { ...SMALL, parameters: { 'max-bandwidth': 200_000, 'downtime-limit': 1 } },
    through: 'file',
    passes: 4,
  },
  {
    name: 'pc-10.0-uuid',
    shows: 'The configuration subsection with the UUID (validate-uuid).',
    qemu: '10.0',
    options: { ...SMALL, capabilities: ['validate-uuid'], extraArguments: ['-uuid', UUID] },
    through: 'file',
  },
  {
    name: 'pc-10.0-ignore-shared',
    shows:
      'The configuration subsection with the capabilities, and guest addresses in the block list (x-ignore-shared).',
    qemu: '10.0',
    options: { ...SMALL, capabilities: ['x-ignore-shared'] },
    through: 'file',
  },
  {
    name: 'pc-10.0-xbzrle',
    shows: 'XBZRLE pages in the later passes.',
    qemu: '10.0',
    options: { ...SMALL, capabilities: ['xbzrle'], parameters: { 'max-bandwidth': 200_000, 'downtime-limit': 1 } },
    through: 'file',
    passes: 4,
  },
  {
    name: 'pc-10.0-stopped',
    shows: 'A guest that was stopped before: globalstate says paused.',
    qemu: '10.0',
    options: SMALL,
    through: 'file',
    stopped: true,
  },
  {
    name: 'pc-10.0-no-vmdesc',
    shows: 'No vmdescription after the EOF (suppress-vmdesc=on).',
    qemu: '10.0',
    options: { ...SMALL, machine: 'pc-i440fx-10.0,suppress-vmdesc=on' },
    through: 'file',
  },
  {
    name: 'pc-10.0-devices',
    shows: 'More devices: two CPUs, a VGA card with RAM of its own, an e1000 card. No firmware but the guest is in it.',
    qemu: '10.0',
    options: {
      ...SMALL,
      extraArguments: [
        ...['-smp', '2', '-device', 'VGA,romfile=,vgamem_mb=1'],
        ...['-netdev', 'user,id=net0,restrict=on', '-device', 'e1000,netdev=net0,romfile='],
      ],
    },
    through: 'file',
  },
  {
    name: 'q35-10.0',
    shows: 'Another board.',
    qemu: '10.0',
    options: { ...SMALL, machine: 'pc-q35-10.0' },
    through: 'file',
  },
  {
    name: 'isapc-10.0',
    shows: 'The smallest board: no PCI, no ACPI.',
    qemu: '10.0',
    options: { ...SMALL, machine: 'isapc' },
    through: 'file',
  },
  {
    name: 'pc-7.2-by-10.0',
    shows: 'QEMU 10.0 with the machine type of 7.2: no SWITCHOVER_START.',
    qemu: '10.0',
    options: { ...SMALL, machine: 'pc-i440fx-7.2' },
    through: 'file',
  },
  {
    name: 'pc-7.2',
    shows: 'QEMU 7.2 itself: other section ids, no configuration in the vmdescription.',
    qemu: '7.2',
    options: SMALL,
    through: 'file',
  },
  {
    name: 'pc-7.2-uuid',
    shows: 'QEMU 7.2 with validate-uuid.',
    qemu: '7.2',
    options: { ...SMALL, capabilities: ['validate-uuid'], extraArguments: ['-uuid', UUID] },
    through: 'file',
  },
  {
    name: 'pc-10.0-return-path',
    shows: 'Over a socket with return-path: OPEN_RETURN_PATH and PING in the stream; the answers in the .return file.',
    qemu: '10.0',
    options: { ...SMALL, capabilities: ['return-path'] },
    through: 'relay',
  },
  {
    name: 'pc-10.0-switchover-ack',
    shows: 'The same with switchover-ack.',
    qemu: '10.0',
    options: { ...SMALL, capabilities: ['return-path', 'switchover-ack'] },
    through: 'relay',
  },
  {
    name: 'pc-7.2-return-path',
    shows: 'Return path between two QEMU 7.2.',
    qemu: '7.2',
    options: { ...SMALL, capabilities: ['return-path'] },
    through: 'relay',
  },
];
