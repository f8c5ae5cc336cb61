/** The types of a row of the table, and the input of its measurement. */

/** One question that the bench answers by a measurement. */
export type BenchRow = {
  /** Name of the row for --rows. */
  readonly name: string;
  measure(context: BenchContext): Promise<RowResult>;
};

export type BenchContext = {
  /** Number of runs of each side. The figure is their median. */
  readonly runs: number;
  /** Bytes of guest RAM instead of the row's own size, or null. For trying the bench, not for figures. */
  readonly ramBytes: number | null;
  /** False if QEMU is not measured; its column is then empty. */
  readonly withQemu: boolean;
  /** Directory of this bench, on a disk. It is removed at the end. */
  readonly directory: string;
  /** Reports progress on standard error. */
  log(line: string): void;
};

/** A row of the printed table. Figures are texts with their unit; `samples` has the underlying measurements. */
export type RowResult = {
  readonly name: string;
  readonly job: string;
  readonly qemu: string | null;
  readonly vmferry: string;
  /** Speed of vmferry divided by the speed of QEMU; null if there is nothing to compare. */
  readonly ratio: number | null;
  readonly target: string;
  /** True if the target is met; null if that could not be determined. */
  readonly isMet: boolean | null;
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** Notes that a reader needs in order to interpret the figures. */
  readonly notes: readonly string[];
};

export const MEBIBYTE = 2 ** 20;
export const GIBIBYTE = 2 ** 30;
