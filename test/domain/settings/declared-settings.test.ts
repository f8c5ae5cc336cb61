import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SettingsGroup } from '../../../src/domain/settings/declaration.ts';
import {
  FIGURE_CELLS,
  type FigureCell,
  figureDeclaration,
  LIVE_PARAMETERS,
  type LiveParameter,
  parameterDeclaration,
} from '../../../src/domain/settings/declared-settings.ts';
import {
  CACHE_FIGURES,
  CAPABILITIES,
  INFO_FIGURES,
  MONITOR_FIGURES,
  MONITOR_PARAMETERS,
  PARAMETER_NAMES,
  RAM_FIGURES,
  TIME_FIGURES,
} from '../../../src/domain/settings/schema-order.ts';
import { FigureBlock } from '../../../src/engine/shared/figures.ts';
import { LiveParameterCells } from '../../../src/engine/shared/live-parameters.ts';
import { ask } from '../../helpers/app.ts';
import { sameApp } from '../../helpers/doors/doors.ts';

const GROUPS = join(import.meta.dirname, '../../../src/domain/settings/groups');
const FIGURES = [...TIME_FIGURES, ...RAM_FIGURES, ...CACHE_FIGURES, ...INFO_FIGURES];

async function declaredIn(part: keyof SettingsGroup): Promise<string[]> {
  const modules = readdirSync(GROUPS).map((name): Promise<Record<string, SettingsGroup>> => import(join(GROUPS, name)));
  const groups = (await Promise.all(modules)).flatMap((module) => Object.values(module));
  return groups.flatMap((group) => Object.keys(group[part] ?? {}));
}

describe('the groups of settings', () => {
  it('declare every capability, parameter and figure once', async () => {
    expect((await declaredIn('capabilities')).sort()).toEqual([...CAPABILITIES].sort());
    expect((await declaredIn('parameters')).sort()).toEqual([...PARAMETER_NAMES].sort());
    expect((await declaredIn('figures')).sort()).toEqual([...FIGURES].sort());
  });

  it('are printed by the text monitor with each figure and parameter once', () => {
    expect(new Set(MONITOR_PARAMETERS).size).toBe(MONITOR_PARAMETERS.length);
    expect([...MONITOR_FIGURES].sort()).toEqual([...FIGURES].sort());
  });
});

describe('a figure of query-migrate', () => {
  it('has the value that a worker wrote into its cell, in the answer and in info migrate', async () => {
    const app = await sameApp();
    app.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    app.outgoing().step('active');
    const cells = new FigureBlock();
    FIGURE_CELLS.forEach((cell, index) => {
      cells.set(cell, written(index));
    });
    app.outgoing().setFigures(new FigureBlock(cells.buffer).read());
    const { json } = await ask(app.server, '/migrate');
    const info = json as Record<string, unknown> & { ram: object; 'xbzrle-cache': object };
    const answered: Record<string, unknown> = { ...info, ...info.ram, ...info['xbzrle-cache'] };
    const { text } = await ask(app.server, '/hmp', {
      body: 'info migrate -a',
      headers: { 'content-type': 'text/plain' },
    });
    const ofCells = FIGURES.filter((name) => 'cell' in figureDeclaration(name));
    expect(ofCells.length).toBeGreaterThan(20);
    for (const name of ofCells) {
      const { cell, factor = 1 } = figureDeclaration(name) as { readonly cell: FigureCell; readonly factor?: number };
      expect(answered[name], name).toBe(written(FIGURE_CELLS.indexOf(cell)) * factor);
      expect(text, name).toContain(`\n${figureDeclaration(name).monitor.label}: `);
    }
  });
});

describe('a live parameter', () => {
  it('is written to its cell when it is set during a migration', async () => {
    const app = await sameApp();
    app.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    app.outgoing().step('active');
    expect(LIVE_PARAMETERS).toContain('throttle-trigger-threshold');
    for (const name of LIVE_PARAMETERS) {
      const value = otherThanDefault(name);
      app.domain.settings.setParameters({ [name]: value });
      const cells = new LiveParameterCells();
      cells.write(app.outgoing().parametersSet.at(-1)!);
      expect(new LiveParameterCells(cells.buffer).get(name), name).toBe(Number(value));
    }
  });
});

/** A distinct value for each cell. */
function written(index: number): number {
  return 4096 * (index + 1);
}

/** A value that the rules allow with the defaults of all other parameters. */
function otherThanDefault(name: LiveParameter): number | boolean {
  const { default: initial } = parameterDeclaration(name);
  return typeof initial === 'boolean' ? !initial : Number(initial) - (name === 'avail-switchover-bandwidth' ? -1 : 1);
}
