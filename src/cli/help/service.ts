import { ENVIRONMENT, exitStatus, join } from './sections.ts';

/* What --help of `vmferry wait` and `vmferry version` says beside the options. */

export const WAIT_HELP = join(
  [
    'Waiting:',
    '  A service that is not there yet, or not ready, is asked again. The address may be in a file that the service',
    '  writes (serve --url-file FILE): it is waited for too. With --pid the wait ends when that process does, so',
    '  that a service that could not start is not waited for, nor one of another run taken for it.',
  ],
  ['Output:', '  The address of the service; with --json {"url":…,"ready":true}.'],
  ENVIRONMENT,
  exitStatus({
    done: 'the service is ready',
    failed: 'the process of --pid has ended',
    unreachable: 'an unexpected answer: something else listens there; or output that could not be written',
    refused: 'the service refused the token',
    timedOut: '--timeout passed, and the service was not ready',
  }),
  [
    'Examples:',
    '  vmferry serve --http 127.0.0.1:0 --url-file vm.url &',
    '  VMFERRY_URL=$(vmferry wait --url-file vm.url --pid $! --timeout 60)',
  ],
);

export const VERSION_HELP = join(
  [
    'Output:',
    '  vmferry VERSION, and service VERSION at URL; with --json {"version":…,"service":…}, null if none answers.',
  ],
  ENVIRONMENT,
  exitStatus({ unreachable: 'output that could not be written', refused: null }),
  ['Examples:', '  vmferry version'],
);
