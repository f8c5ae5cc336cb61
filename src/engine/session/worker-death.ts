/** A worker thread that ended by itself, or was ended because it hung; the message says how. */
export class WorkerDeath extends Error {
  readonly code = 'engine_crashed';
  readonly worker: 'transfer' | 'block';

  constructor(worker: WorkerDeath['worker'], message: string) {
    super(message);
    this.name = 'WorkerDeath';
    this.worker = worker;
  }
}
