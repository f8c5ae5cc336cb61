/** What a row of the table is, and what its measurement is given. */

/** One question that the bench answers. */
export type BenchRow = {
  /** What --rows calls it. */
  readonly name: string;
  measure(context: BenchContext): Promise<RowResult>;
};

export type BenchContext = {
  /** Runs of either side; the figure is their median. */
  readonly runs: number;
  /** Bytes of guest RAM that take the place of the row's own, or null; for trying the bench, not for figures. */
  readonly ramBytes: number | null;
  /** False: QEMU's column stays empty. */
  readonly withQemu: boolean;
  /** Private to this bench, on a disk; removed with it. */
  readonly directory: string;
  /** Tells whoever watches what happens. */
  log(line: string): void;
};

/** A row of the printed table. Figures are texts with their unit; `samples` has what they were made from. */
export type RowResult = {
  readonly name: string;
  readonly job: string;
  readonly qemu: string | null;
  readonly vmferry: string;
  /** Ours through theirs, above 1 where vmferry is better; null where there is nothing to compare. */
  readonly ratio: number | null;
  readonly target: string;
  /** Null where it could not be judged. */
  readonly isMet: boolean | null;
  readonly samples: Readonly<Record<string, readonly number[]>>;
  /** What a reader has to know beside the figures. */
  readonly notes: readonly string[];
};

export const MEBIBYTE = 2 ** 20;
export const GIBIBYTE = 2 ** 30;
