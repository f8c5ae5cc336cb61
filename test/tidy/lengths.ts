// The maximum lengths of a file and of a function.

import { dottedName, isNode, lineOf, type Node, type SourceFile, walk } from './source-file.ts';

export const FILE_LINES_MAX = 300;
export const TEST_FILE_LINES_MAX = 500;
export const FUNCTION_LINES_MAX = 60;

const FUNCTIONS = ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'];

export function fileLengthFaults(files: readonly { path: string; text: string }[]): string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length;
    const linesMax = path.startsWith('test/') ? TEST_FILE_LINES_MAX : FILE_LINES_MAX;
    return lines > linesMax ? [`${path} has ${lines} lines, ${linesMax} are allowed.`] : [];
  });
}

export function functionLengthFaults(files: readonly SourceFile[]): string[] {
  return files.flatMap((file) => {
    const faults: string[] = [];
    walk(file.program, (node, parents) => {
      if (!FUNCTIONS.includes(node.type) || isDescribeBody(parents.at(-1))) return;
      const line = lineOf(file, node.start);
      const lines = lineOf(file, node.end) - line + 1;
      if (lines <= FUNCTION_LINES_MAX) return;
      faults.push(`${file.path}:${line} has a function of ${lines} lines, ${FUNCTION_LINES_MAX} are allowed.`);
    });
    return faults;
  });
}

/** The callback of `describe` (or `describeWithQemu`) groups tests and is no logic: only its tests are measured. */
function isDescribeBody(parent: Node | undefined): boolean {
  if (parent?.type !== 'CallExpression') return false;
  const callee = parent.callee;
  const inner = isNode(callee) && callee.type === 'CallExpression' ? callee.callee : callee;
  return dottedName(inner)?.startsWith('describe') ?? false;
}
