import type { DirtyLimits, ThrottleFigures } from '../dirty/dirty-limits.ts';
import type { MigrationAddress } from '../ports/migration-session.ts';
import type { FigureDeclaration } from '../settings/declaration.ts';
import { type FigureCell, figureDeclaration, type MigrationFigures } from '../settings/declared-settings.ts';
import {
  CACHE_FIGURES,
  type CacheFigure,
  type FigureName,
  INFO_FIGURES,
  type InfoFigure,
  RAM_FIGURES,
  type RamFigure,
  TIME_FIGURES,
} from '../settings/schema-order.ts';
import type { CurrentMigration, Migrations } from './current-migration.ts';
import type { Blockers } from './migration-blockers.ts';
import type { MigrationStatus } from './migration-status.ts';

/** Size of a guest page, in bytes: `page-size` of the answer. */
export const PAGE_BYTES = 4096;

/** The answer of query-migrate: the status decides which members it has, as in QEMU 10.0. */
export type MigrationInfo = Partial<Readonly<Record<InfoFigure, number>>> & {
  readonly status?: MigrationStatus;
  readonly ram?: Readonly<Record<RamFigure, number>>;
  readonly 'xbzrle-cache'?: Readonly<Record<CacheFigure, number>>;
  readonly 'error-desc'?: string;
  readonly 'blocked-reasons'?: readonly string[];
  readonly 'socket-address'?: readonly SocketAddress[];
};

export type QueryParts = {
  readonly migrations: Migrations;
  readonly blockers: Pick<Blockers, 'reasons'>;
  readonly dirtyLimits: Pick<DirtyLimits, 'throttleFigures'>;
};

/** query-migrate. */
export function queryMigration(parts: QueryParts): MigrationInfo {
  const reasons = parts.blockers.reasons();
  const { current } = parts.migrations;
  return {
    ...(reasons.length > 0 && { 'blocked-reasons': reasons }),
    ...(current !== null && describe(parts, current)),
  };
}

function describe({ migrations, dirtyLimits }: QueryParts, migration: CurrentMigration): MigrationInfo {
  const { status, error } = migration;
  const common = { status, ...(error !== null && { 'error-desc': error.message }) };
  if (migration.direction === 'incoming') {
    const bound = migrations.listener?.address ?? null;
    const addresses = bound === null ? null : socketAddressOf(bound);
    return { ...common, ...(addresses !== null && { 'socket-address': addresses }) };
  }
  const figures = migration.figures();
  if (figures === null || !WITH_FIGURES.has(status)) return common;
  const shown: Shown = { status, figures, dirtyLimits: dirtyLimits.throttleFigures() };
  return {
    ...common,
    ...membersOf(TIME_FIGURES, shown),
    ram: membersOf(RAM_FIGURES, shown),
    ...(figures.xbzrleCacheBytes > 0 && { 'xbzrle-cache': membersOf(CACHE_FIGURES, shown) }),
    ...membersOf(INFO_FIGURES, shown),
  };
}

/** Statuses in which the guest has left this side. */
const AFTER_HANDOVER: ReadonlySet<MigrationStatus> = new Set([
  'completed',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
] as const);

const WITH_FIGURES: ReadonlySet<MigrationStatus> = new Set([
  'active',
  'cancelling',
  'pre-switchover',
  'device',
  ...AFTER_HANDOVER,
] as const);

/** The values from which the figures of one answer are computed. */
type Shown = {
  readonly status: MigrationStatus;
  readonly figures: MigrationFigures;
  /** Null while no migration limits the vCPUs. */
  readonly dirtyLimits: ThrottleFigures | null;
};

/** The figures of these names, in this order, without hidden ones. All figures of `ram` are shown. */
function membersOf<N extends FigureName>(names: readonly N[], shown: Shown): { readonly [M in N]: number } {
  const members = names.flatMap((name) => {
    const value = shownValue(figureDeclaration(name), shown);
    return value === null ? [] : [[name, value]];
  });
  return Object.fromEntries(members) as { readonly [M in N]: number };
}

/** The value of a figure in the answer; null if it is hidden. */
function shownValue(figure: FigureDeclaration<FigureCell>, shown: Shown): number | null {
  const { shown: phase, onceCompleted, isAbsentAtZero = false } = figure;
  if (phase !== undefined && (phase === 'after-handover') !== AFTER_HANDOVER.has(shown.status)) return null;
  if (shown.status === 'completed' && onceCompleted !== undefined) return onceCompleted === 'zero' ? 0 : null;
  const value = sourceOf(figure, shown);
  return value === 0 && isAbsentAtZero ? null : value;
}

function sourceOf(figure: FigureDeclaration<FigureCell>, { figures, dirtyLimits }: Shown): number | null {
  if ('constant' in figure) return figure.constant;
  if ('dirtyLimit' in figure) return dirtyLimits?.[figure.dirtyLimit] ?? null;
  return 'time' in figure ? figures[figure.time] : figures[figure.cell] * (figure.factor ?? 1);
}

/** The address of a listener in query-migrate: SocketAddress of the QAPI schema. */
export type SocketAddress =
  | {
      readonly type: 'inet';
      readonly host: string;
      readonly port: string;
      readonly ipv4?: boolean;
      readonly ipv6?: boolean;
    }
  | { readonly type: 'unix'; readonly path: string };

/** Every address that is listened on; null for an address that is not a socket. */
export function socketAddressOf(address: MigrationAddress): readonly SocketAddress[] | null {
  if (address.transport === 'unix') return [{ type: 'unix', path: address.path }];
  if (address.transport !== 'tcp') return null;
  if (address.bound === undefined) return [{ type: 'inet', host: address.host, port: String(address.port) }];
  return address.bound.map(({ host, port }) => {
    const family = host.includes(':') ? { ipv6: true } : { ipv4: true };
    return { type: 'inet' as const, host, port: String(port), ...family };
  });
}
