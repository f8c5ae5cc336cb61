import type { Context } from '../context.ts';
import type { SettingsUseCases } from '../domain.ts';
import { DomainError } from '../errors.ts';

/** Capabilities and parameters: set as a whole or not at all. */
export function settingsUseCases(context: Context): SettingsUseCases {
  const { settings, clock } = context;
  return {
    capabilities: () => settings.capabilities(),
    setCapabilities: (list, expectedVersion) => {
      const { current } = context;
      if (current !== null && current.direction === 'outgoing' && !current.isEnded) {
        const detail = `Capabilities cannot change while migration ${current.id} is in progress (${current.status}).`;
        throw new DomainError('migration_in_progress', detail);
      }
      settings.setCapabilities(list, clock.now(), expectedVersion);
      // As in QEMU, a listener obeys what is on when the stream comes.
      context.reception?.setCapabilities(settings.enabled());
      context.changes.bump();
    },
    parameters: () => settings.parameters(),
    setParameters: (change, expectedVersion) => {
      settings.setParameters(change, clock.now(), expectedVersion);
      // What the engine can obey while it runs reaches a migration that runs.
      const { current } = context;
      if (current !== null && !current.isEnded) current.outgoing()?.setParameters(settings.live());
      context.changes.bump();
    },
    checkCapabilities: (list) => settings.checkCapabilities(list),
    checkParameters: (change) => settings.checkParameters(change),
    version: (kind) => settings.version(kind),
  };
}
