/** A manifest that cannot be used: damaged, unfinished, or none. The message says why, as a clause about the manifest. */
export class BrokenManifestError extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'BrokenManifestError';
  }
}
