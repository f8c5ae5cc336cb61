/** Clusters of an image file, a bit for each. */
export class ClusterSet {
  readonly #clusterBytes: number;
  readonly #bits: Uint8Array;

  /** @param bytes length of the file; no cluster behind it can be added. */
  constructor({ bytes, clusterBytes }: { readonly bytes: number; readonly clusterBytes: number }) {
    this.#clusterBytes = clusterBytes;
    this.#bits = new Uint8Array(Math.ceil(bytes / clusterBytes / 8));
  }

  has(offset: number): boolean {
    const cluster = Math.floor(offset / this.#clusterBytes);
    return ((this.#bits[cluster >>> 3] ?? 0) & (1 << (cluster & 7))) !== 0;
  }

  /** @returns false if it was there already. */
  add(offset: number): boolean {
    if (this.has(offset)) return false;
    const cluster = Math.floor(offset / this.#clusterBytes);
    this.#bits[cluster >>> 3]! |= 1 << (cluster & 7);
    return true;
  }
}
