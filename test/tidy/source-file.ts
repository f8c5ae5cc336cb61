// A source file for the tidy checks: its imports, its worker entries, its functions, and its syntax tree.

import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { parseSync } from 'vite';

export const ROOT = join(import.meta.dirname, '..', '..');

export interface Import {
  /** As written. */
  specifier: string;
  /** Path from the project's root for a relative import, the specifier itself for every other. */
  target: string;
  typeOnly: boolean;
}

export interface SourceFile {
  /** From the project's root, with slashes. */
  path: string;
  text: string;
  imports: Import[];
  /** Files named as `new URL('…', import.meta.url)`: worker entries and data read at run time. */
  urls: string[];
  program: Node;
}

/** A syntax node, as loosely as the checks need it. */
export interface Node {
  type: string;
  start: number;
  end: number;
  [member: string]: unknown;
}

export function sourceFile(path: string, text: string): SourceFile {
  const { program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const root = program as unknown as Node;
  const file: SourceFile = { path, text, imports: [], urls: [], program: root };
  walk(root, (node) => {
    const specifier = importedBy(node);
    if (specifier !== null) {
      const target = specifier.startsWith('.') ? posix.join(posix.dirname(path), specifier) : specifier;
      file.imports.push({ specifier, target, typeOnly: isTypeOnly(node) });
    }
    const url = fileUrl(node);
    if (url !== null) file.urls.push(posix.join(posix.dirname(path), url));
  });
  return file;
}

/** Every TypeScript file below a folder of the project, without type declarations. */
export function sourceFilesBelow(folder: string): SourceFile[] {
  return sourceTextsBelow(folder).map(({ path, text }) => sourceFile(path, text));
}

/** The same without looking into the files, which takes most of the time. */
export function sourceTextsBelow(folder: string): Pick<SourceFile, 'path' | 'text'>[] {
  let names: string[];
  try {
    names = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
  } catch {
    return [];
  }
  return names
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map((name) => posix.join(folder, name.replaceAll('\\', '/')))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** Visits every node, parents first; `visit` also gets the chain of parents, nearest last. */
export function walk(node: Node, visit: (node: Node, parents: readonly Node[]) => void, parents: Node[] = []): void {
  visit(node, parents);
  parents.push(node);
  for (const member of Object.values(node)) {
    for (const child of Array.isArray(member) ? member : [member]) {
      if (isNode(child)) walk(child, visit, parents);
    }
  }
  parents.pop();
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';
}

/** `a.b` for the member expression a.b, `a` for the identifier a, null for what is neither. */
export function dottedName(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === 'Identifier') return node.name as string;
  if (node.type === 'MetaProperty') return `${dottedName(node.meta)}.${dottedName(node.property)}`;
  if (node.type !== 'MemberExpression') return null;
  const object = dottedName(node.object);
  const property = node.computed === true ? stringOf(node.property) : dottedName(node.property);
  return object === null || property === null ? null : `${object}.${property}`;
}

export function stringOf(node: unknown): string | null {
  return isNode(node) && node.type === 'Literal' && typeof node.value === 'string' ? node.value : null;
}

export function lineOf(file: SourceFile, offset: number): number {
  return file.text.slice(0, offset).split('\n').length;
}

function importedBy(node: Node): string | null {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return stringOf(node.source);
    default:
      return null;
  }
}

function isTypeOnly(node: Node): boolean {
  return node.type === 'TSImportType' || node.importKind === 'type' || node.exportKind === 'type';
}

function fileUrl(node: Node): string | null {
  if (node.type !== 'NewExpression' || dottedName(node.callee) !== 'URL') return null;
  const [path, base] = node.arguments as unknown[];
  return dottedName(base) === 'import.meta.url' ? stringOf(path) : null;
}
