// The part of Node's WebAssembly API that the kernels use. TypeScript declares it only in its browser library, where
// every memory is unshared.

declare namespace WebAssembly {
  interface MemoryDescriptor {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }

  class Memory<B extends ArrayBufferLike = ArrayBufferLike> {
    constructor(
      descriptor: B extends SharedArrayBuffer ? MemoryDescriptor & { maximum: number; shared: true } : MemoryDescriptor,
    );
    readonly buffer: B;
    grow(deltaPages: number): number;
  }

  type ValueKind = 'function' | 'global' | 'memory' | 'table' | 'tag';
  type ExportValue = Memory | ((...values: never[]) => unknown) | object;
  type Exports = Record<string, ExportValue>;
  type Imports = Record<string, Record<string, ExportValue | number | bigint>>;

  class Module {
    constructor(bytes: ArrayBufferView | ArrayBufferLike);
    static exports(module: Module): { name: string; kind: ValueKind }[];
    static imports(module: Module): { module: string; name: string; kind: ValueKind }[];
  }

  class Instance {
    constructor(module: Module, imports?: Imports);
    readonly exports: Exports;
  }

  class CompileError extends Error {}
  class LinkError extends Error {}
  class RuntimeError extends Error {}

  function validate(bytes: ArrayBufferView | ArrayBufferLike): boolean;
  function compile(bytes: ArrayBufferView | ArrayBufferLike): Promise<Module>;
  function instantiate(module: Module, imports?: Imports): Promise<Instance>;
}
