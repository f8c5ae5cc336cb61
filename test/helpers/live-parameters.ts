import {
  LIVE_PARAMETERS,
  type LiveParameters,
  parameterDeclaration,
} from '../../src/domain/settings/declared-settings.ts';
import { LiveParameterCells } from '../../src/engine/shared/live-parameters.ts';

/** The live parameters with their defaults, and with these values. */
export function liveParameters(change: Partial<LiveParameters> = {}): LiveParameters {
  const defaults = LIVE_PARAMETERS.map((name) => [name, parameterDeclaration(name).default]);
  return { ...(Object.fromEntries(defaults) as LiveParameters), ...change };
}

/** The same in shared memory. */
export function liveParameterCells(change: Partial<LiveParameters> = {}): LiveParameterCells {
  const cells = new LiveParameterCells();
  cells.write(liveParameters(change));
  return cells;
}
