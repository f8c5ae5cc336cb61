// Names of source files: a name says the object and its role, so it is unique.

/**
 * Folders in which the files of one family have the same name: the family's commands, schemas, operations and so on. A
 * folder `src/domain/<family>/` belongs to them with its file `<family>.ts`.
 */
const FAMILY_FOLDERS = [
  'src/cli/commands',
  'src/cli/grammar',
  'src/cli/output',
  'src/commands',
  'src/commands/schemas',
  'src/commands/views',
  'src/domain',
  'src/hmp/commands',
  'src/hmp/formats',
  'src/routes',
  'src/routes/examples',
];

/** One sentence for each name that several files have, not all of them of one family. */
export function fileNameFaults(paths: readonly string[]): string[] {
  const byName = Map.groupBy(paths, (path) => path.slice(path.lastIndexOf('/') + 1));
  return [...byName]
    .filter(([, found]) => found.length > 1 && !found.every(isOfFamily))
    .map(([name, found]) => `${name} is the name of ${found.join(' and ')}.`);
}

function isOfFamily(path: string): boolean {
  const folder = path.slice(0, path.lastIndexOf('/'));
  const family = path.slice(folder.length + 1, -'.ts'.length);
  return FAMILY_FOLDERS.includes(folder) || folder === `src/domain/${family}`;
}
