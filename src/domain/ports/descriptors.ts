/** What an open file may be used for. `append`: for writing, but only at its end (O_APPEND). `unknown`: nobody can tell. */
export type DescriptorAccess = 'read' | 'write' | 'both' | 'append' | 'unknown';

/** Calls of the system about descriptors of this process. */
export type DescriptorCalls = {
  /** Never throws. */
  readonly close: (descriptor: number) => void;
  /** A further descriptor of the same open file, which no child inherits. @throws Error if there is none to be had. */
  readonly duplicate: (descriptor: number) => number;
  readonly accessOf: (descriptor: number) => DescriptorAccess;
};
