// The commands of docs/ci.md, extracted from the page.

export type WorkflowStep = {
  readonly name: string;
  /** The action of a step that runs no commands. */
  readonly uses: string | null;
  readonly condition: string | null;
  /** The folder of a checkout, if it is not the working directory. */
  readonly path: string | null;
  readonly commands: string | null;
};

/** Text of the section with this title, up to the next of the same level. */
export function sectionOf(page: string, title: string): string {
  const found = page.split(/^## /m).find((section) => section.startsWith(`${title}\n`));
  if (found === undefined) throw new Error(`the page has no section "${title}"`);
  return found;
}

/** The code blocks of a section in one language. */
export function blocksOf(section: string, language: string): string[] {
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => match[2] ?? '');
}

/** The steps of the only job of a GitHub workflow, in the form of that page. */
export function workflowSteps(workflow: string): WorkflowStep[] {
  const [, list = ''] = workflow.split(/^ {4}steps:\n/m);
  return list
    .split(/^ {6}- /m)
    .slice(1)
    .map((step) => {
      const member = (name: string): string | null => new RegExp(`^ *${name}: (.*)$`, 'm').exec(step)?.[1] ?? null;
      const [, commands = null] = step.split(/^ {8}run: \|\n/m);
      const about = { name: member('name') ?? '', uses: member('uses'), condition: member('if'), path: member('path') };
      const line = member('run');
      return { ...about, commands: commands === null ? (line === '|' ? null : line) : withoutIndent(commands) };
    });
}

/** The commands of a list such as `script` of one job of a GitLab configuration. */
export function gitlabCommands(configuration: string, job: string, list: string): string {
  const found = configuration.split(/^(?=\S)/m).find((text) => text.startsWith(`${job}:\n`));
  const [, behind] = found?.split(new RegExp(`^ {2}${list}:\n`, 'm')) ?? [];
  if (behind === undefined) throw new Error(`job ${job} has no ${list}`);
  const [items = ''] = behind.split(/^ {2}(?=\w)/m);
  return items
    .split(/^ {4}- /m)
    .slice(1)
    .map((item) => (item.startsWith('|\n') ? withoutIndent(item.slice(2)) : item))
    .join('');
}

function withoutIndent(text: string): string {
  const indent = /^ */.exec(text)?.[0] ?? '';
  return text.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
}
