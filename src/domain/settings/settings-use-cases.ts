import type { Changes } from '../events/event-hub.ts';
import type { Occupancy } from '../occupancy.ts';
import type { Clock } from '../ports/process.ts';
import type { CapabilityStatus, LiveParameters, MigrationParameters } from './declared-settings.ts';
import type { Settings } from './settings.ts';

export interface SettingsUseCases {
  capabilities(): readonly CapabilityStatus[];
  setCapabilities(list: readonly CapabilityStatus[], expectedVersion?: number): void;
  parameters(): MigrationParameters;
  setParameters(change: Readonly<Record<string, unknown>>, expectedVersion?: number): void;
  /** Throws the error that `setCapabilities` would throw; entries may have any form. */
  checkCapabilities(list: readonly unknown[]): void;
  /** Throws the error that `setParameters` would throw; values may have any type. */
  checkParameters(change: Readonly<Record<string, unknown>>): void;
  /** Grows with every change of that kind of settings; survives restarts. `expectedVersion` above refers to it. */
  version(kind: 'capabilities' | 'parameters'): number;
}

/** A migration that applies some changes while it runs. */
export type SettingsFollower = {
  /** As in QEMU, a listener uses the capabilities that are on when the stream comes. */
  setCapabilities(enabled: readonly string[]): void;
  setParameters(parameters: LiveParameters): void;
};

export type SettingsParts = {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly changes: Changes;
  readonly occupancy: Pick<Occupancy, 'refuse'>;
  readonly follower: SettingsFollower;
};

/** Capabilities and parameters: each change is made as a whole or not at all. */
export function settingsUseCases({ settings, clock, changes, occupancy, follower }: SettingsParts): SettingsUseCases {
  return {
    capabilities: () => settings.capabilities(),
    setCapabilities: (list, expectedVersion) => {
      occupancy.refuse('capabilities');
      settings.setCapabilities(list, clock.now(), expectedVersion);
      follower.setCapabilities(settings.enabled());
      changes.bump();
    },
    parameters: () => settings.parameters(),
    setParameters: (change, expectedVersion) => {
      settings.setParameters(change, clock.now(), expectedVersion);
      follower.setParameters(settings.live());
      changes.bump();
    },
    checkCapabilities: (list) => settings.checkCapabilities(list),
    checkParameters: (change) => settings.checkParameters(change),
    version: (kind) => settings.version(kind),
  };
}
