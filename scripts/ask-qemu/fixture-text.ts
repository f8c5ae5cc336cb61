/** JSON text with one list element on each line, so that a diff shows the changes of QEMU. */
export function toFixtureText(value: unknown): string {
  return `${render(value, '', 0)}\n`;
}

const NESTING_MAX = 3;

function render(value: unknown, indent: string, depth: number): string {
  if (depth >= NESTING_MAX || value === null || typeof value !== 'object') return JSON.stringify(value);
  const deeper = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return `[\n${value.map((item) => deeper + JSON.stringify(item)).join(',\n')}\n${indent}]`;
  }
  const members = Object.entries(value).map(([name, member]) => {
    return `${deeper}${JSON.stringify(name)}: ${render(member, deeper, depth + 1)}`;
  });
  return members.length === 0 ? '{}' : `{\n${members.join(',\n')}\n${indent}}`;
}
