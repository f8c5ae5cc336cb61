import { announceSelf as announceSelfCommand } from '../../commands/announce.ts';
import * as table from '../../commands/machine.ts';
import type { MonitorCommand } from '../command.ts';

/* The machine itself. */

export const stop: MonitorCommand = {
  names: ['stop', 's'],
  help: 'stop the guest',
  run: async (call) => {
    await call.ask(table.stop);
    return '';
  },
};

export const cont: MonitorCommand = {
  names: ['cont', 'c'],
  help: 'let the guest run',
  run: async (call) => {
    await call.ask(table.cont);
    return '';
  },
};

/** The schedule is that of the announce-* parameters. */
export const announceSelf: MonitorCommand = {
  names: ['announce_self'],
  parameters: [
    { name: 'interfaces', type: 'string', isOptional: true },
    { name: 'id', type: 'string', isOptional: true },
  ],
  help: 'announce where the guest is: on all interfaces, or on those of a list with commas; id names this announcement',
  run: async (call) => {
    const { interfaces, id } = call.values;
    await call.askShort(announceSelfCommand, {
      ...(typeof interfaces === 'string' && { interfaces: interfaces.split(',') }),
      ...(id !== undefined && { id }),
    });
    return '';
  },
};
