export type Run = { readonly first: number; readonly clusters: number };

/** Clusters that were freed, joined to runs where they were freed one behind the other. */
export class FreedRuns {
  #runs: { first: number; clusters: number }[] = [];

  add(cluster: number): void {
    const last = this.#runs.at(-1);
    if (last !== undefined && last.first + last.clusters === cluster) last.clusters += 1;
    else this.#runs.push({ first: cluster, clusters: 1 });
  }

  /** What was added since the last call and is free still: runs are cut where a cluster is in use again. */
  take(isFree: (cluster: number) => boolean): Run[] {
    const added = this.#runs;
    this.#runs = [];
    const free = new FreedRuns();
    for (const { first, clusters } of added) {
      for (let cluster = first; cluster < first + clusters; cluster += 1) if (isFree(cluster)) free.add(cluster);
    }
    return free.#runs;
  }
}
