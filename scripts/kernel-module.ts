// Rules for a kernel module. Many threads instantiate it on the memory that contains a guest's RAM, without knowing of each
// other. So the module must not own a byte of that memory, and its instantiation must not change a byte.

const SECTION_START = 8;
const SECTION_DATA = 11;
const HEADER_BYTES = 8;
/** Permitted imports of `env`: the memory, and the address of the results in the work area of the thread. */
const IMPORTS: Readonly<Record<string, string>> = { memory: 'memory', results: 'global' };

/** The reasons why a module must not be instantiated on guest memory, one sentence each. */
export function kernelFaults(bytes: Uint8Array): string[] {
  if (!WebAssembly.validate(bytes)) return ['The file is not a valid WebAssembly module.'];
  const module = new WebAssembly.Module(bytes);
  const faults: string[] = [];
  for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
    if (from !== 'env' || !(name in IMPORTS) || kind !== IMPORTS[name]) faults.push(importFault({ from, name, kind }));
  }
  for (const { name, kind } of WebAssembly.Module.exports(module)) {
    if (kind !== 'function') faults.push(`It exports the ${kind} "${name}"; only functions may be exported.`);
  }
  const sections = sectionIds(bytes);
  if (sections.includes(SECTION_DATA)) {
    faults.push('It has static data, which would be written over guest memory; use local values instead.');
  }
  if (sections.includes(SECTION_START)) {
    faults.push('It has a start function; a kernel file must not have top-level code.');
  }
  return faults;
}

function importFault({ from, name, kind }: { from: string; name: string; kind: string }): string {
  const cause = name === 'abort' ? '; use unchecked() or plain loads, and do not throw or allocate' : '';
  return `It imports the ${kind} "${from}.${name}"; only env.memory and env.results may be imported${cause}.`;
}

function sectionIds(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  let offset = HEADER_BYTES;
  while (offset < bytes.length) {
    ids.push(bytes[offset]!);
    offset += 1;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset]!;
      offset += 1;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    offset += length;
  }
  return ids;
}
