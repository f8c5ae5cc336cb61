// The manual page vmferry(1): the flags of the service and the commands of the client, with the texts of --help.

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { createProgram } from '../../src/cli/client-program.ts';
import { CLOCK, type CommandIo } from '../../src/cli/command-io.ts';
import { EXIT_STATUSES } from '../../src/cli/grammar/common-options.ts';
import { FLAGS } from '../../src/config/flags.ts';
import { paragraph, preformatted, quoted, section, subsection, term } from './roff.ts';

/** @returns the page in the macros of man(7). It has no date, so that the same code generates the same page */
export function manPage(): string {
  const { version, description } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    readonly version: string;
    readonly description: string;
  };
  return [
    `.TH VMFERRY 1 "" ${quoted(`vmferry ${version}`)} ${quoted('User Commands')}`,
    section('NAME'),
    paragraph('vmferry - live migration and snapshots of a virtual machine'),
    section('SYNOPSIS'),
    paragraph('vmferry serve [FLAG ...]', 'vmferry COMMAND [OPTION ...] [ARGUMENT ...]'),
    section('DESCRIPTION'),
    paragraph(`${description}. "vmferry serve" runs the service, which has one machine and is controlled over HTTP.`),
    paragraph('Every other command sends requests to a running service.'),
    section('FLAGS OF THE SERVICE'),
    paragraph(
      'Each flag is also an environment variable: --file-root is VMFERRY_FILE_ROOT. A flag has precedence over its variable. ' +
        'A variable of a repeatable flag holds a list, separated by commas.',
    ),
    ...flags(),
    section('COMMANDS'),
    ...commands(),
    section('EXIT STATUS'),
    ...EXIT_STATUSES.map(([status, meaning]) => term(String(status), `${meaning}.`)),
    paragraph('The help of each command lists its exit statuses.'),
    section('ENVIRONMENT'),
    term('VMFERRY_URL', 'Address of the service. Used if neither --url nor --url-file is given.'),
    term('VMFERRY_URL_FILE', 'File with the address of the service. Used if VMFERRY_URL is not set.'),
    term('VMFERRY_TOKEN', 'Bearer token. Used if --token-file is not given.'),
    section('FILES'),
    term('DATA/vmferry.db', 'Settings, history and events of the service with --data DATA.'),
    term('DATA/disk0.qcow2', 'The disk of the machine, with its snapshots, unless --blockdev is given.'),
    term('DATA/files', 'The folder of file: addresses, unless --file-root is given.'),
    section('SEE ALSO'),
    paragraph('qemu(1), qemu-img(1). A running service explains its API at /docs.'),
    '',
  ].join('\n');
}

function flags(): string[] {
  return Object.entries(FLAGS).map(([name, { form, repeatable, help }]) => {
    const value = form === '' ? '' : ` ${form}`;
    return term(`--${name}${value}${repeatable === true ? ' ...' : ''}`, `${help}.`);
  });
}

function commands(): string[] {
  let printed = '';
  const program = createProgram(
    worldThatPrints((text) => {
      printed += text;
    }),
    () => {},
  );
  const described = (command: Command, path: string): string[] => {
    const help = command.createHelp();
    const inner = help.visibleCommands(command).filter((entry) => entry.name() !== 'help');
    printed = '';
    command.outputHelp();
    const notes = withoutEnvironment(printed.slice(command.helpInformation().length).trim());
    const own = [
      subsection(`${path} ${command.usage()}`.trim()),
      paragraph(`${command.description()}.`),
      ...help.visibleArguments(command).map((entry) => term(help.argumentTerm(entry), help.argumentDescription(entry))),
      ...help.visibleOptions(command).map((option) => term(help.optionTerm(option), help.optionDescription(option))),
      ...(notes === '' ? [] : [preformatted(notes)]),
    ];
    return [...own, ...inner.flatMap((entry) => described(entry, `${path} ${entry.name()}`))];
  };
  return program.commands
    .filter((entry) => !entry.name().startsWith('_'))
    .flatMap((entry) => described(entry, `vmferry ${entry.name()}`));
}

/** The page has one section for the variables that all commands read. */
function withoutEnvironment(notes: string): string {
  return notes
    .split('\n\n')
    .filter((part) => !part.startsWith('Environment:'))
    .join('\n\n');
}

/** A CommandIo for the grammar. No command runs with it. */
function worldThatPrints(out: (text: string) => void): CommandIo {
  return {
    version: '',
    environment: { url: undefined, token: undefined, terminal: undefined },
    out,
    err: out,
    columns: () => null,
    outColumns: () => null,
    input: process.stdin,
    terminal: null,
    clock: CLOCK,
    interrupt: new AbortController().signal,
    outputClosed: new AbortController().signal,
  };
}
