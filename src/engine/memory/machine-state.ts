/*
 * The state of an embedded machine, which crosses threads by structured clone: its memory, its devices, and the kept parts of
 * the stream of an unknown machine.
 */

/** A stretch of a RAM block inside one segment of guest memory. All figures in bytes. */
export type RamExtent = {
  /** Index into `GuestMemory.segments`. */
  readonly segment: number;
  /** Address of its first byte in the segment's memory. */
  readonly address: number;
  /** Offset of its first byte in the RAM block. */
  readonly blockOffset: number;
  readonly bytes: number;
};

/** One RAM block with its name in the stream. The extents follow each other without a gap. */
export type RamBlock = { readonly name: string; readonly bytes: number; readonly extents: readonly RamExtent[] };

/** Guest RAM: shared memories (see engine/memory/layout.ts) and the RAM blocks in them. */
export type GuestMemory = { readonly segments: readonly WebAssembly.Memory[]; readonly blocks: readonly RamBlock[] };

/** A field of a device in VMState form; `bytes` is its whole size on the wire. Integers are big-endian. */
export type DeviceField = {
  readonly name: string;
  readonly type: 'uint8' | 'uint16' | 'uint32' | 'uint64' | 'int64' | 'buffer';
  readonly bytes: number;
};

/**
 * A device whose state lies, in wire form, in shared memory: `body` is its fields one after another, big-endian,
 * kept up to date by the machine whenever its vCPUs stand still.
 */
export type TransferDevice = {
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly fields: readonly DeviceField[];
  readonly body: Uint8Array<SharedArrayBuffer>;
};

/** A device section of a stream, unchanged. */
export type OpaqueSection = {
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly sectionId: number;
  /** Everything between the version id and the footer. */
  readonly body: Uint8Array;
};

/** The parts of a stream that an image machine keeps, so that it can be sent again unchanged. */
export type ImageStream = {
  /** Bytes of the configuration section behind the machine name: its subsections. */
  readonly configurationTail: Uint8Array;
  readonly ramSectionId: number;
  /** True if the stream held SWITCHOVER_START (machine types from 10.0 on). */
  readonly switchoverStart: boolean;
  /** Full sections before the end of RAM, and full sections after it, each in the order of the stream. */
  readonly earlySections: readonly OpaqueSection[];
  readonly sections: readonly OpaqueSection[];
  /** Text of the vmdescription, or null if the stream had none. */
  readonly vmDescription: Uint8Array | null;
};

/** A machine to be sent. */
export type TransferSource = {
  /** Machine type name of the configuration section. */
  readonly machineName: string;
  readonly memory: GuestMemory;
  /** VcpuControl words (see engine/memory/vcpu-control.ts), or null for a machine without vCPUs. */
  readonly vcpuControl: SharedArrayBuffer | null;
  readonly state:
    | { readonly form: 'devices'; readonly devices: readonly TransferDevice[] }
    | { readonly form: 'image'; readonly image: ImageStream };
};

/** The receiver of a machine: a machine that accepts only its own kind, or an empty one that accepts any machine. */
export type TransferTarget =
  | {
      readonly form: 'devices';
      readonly machineName: string;
      readonly memory: GuestMemory;
      readonly devices: readonly TransferDevice[];
    }
  | { readonly form: 'image'; readonly ramBytesMax: number };

/** A machine that was loaded. Except for guest RAM nothing has taken effect before the machine adopts it. */
export type LoadedMachine = {
  /** Run state that the source had before it stopped for the migration: globalstate's text. */
  readonly globalState: string;
  readonly state:
    | {
        readonly form: 'devices';
        /** Bodies in the order of `TransferTarget.devices`. */
        readonly bodies: readonly Uint8Array[];
        /** The target's memory, into which RAM was loaded: cloned objects of the same shared memory. */
        readonly memory: GuestMemory;
      }
    | {
        readonly form: 'image';
        readonly machineName: string;
        readonly memory: GuestMemory;
        readonly image: ImageStream;
      };
};
