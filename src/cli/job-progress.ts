import type { Job } from './client-job.ts';
import { clockText, sizeText } from './output/plain-text.ts';
import type { Figure, Shown } from './output/progress-display.ts';
import { RateMeter } from './rate.ts';

/* A job as its progress shows it. */

export class JobProgress {
  readonly #rate = new RateMeter();

  shown(job: Job, nowMs: number): Shown {
    const { status, doneBytes, totalBytes, isConcluded } = job;
    this.#rate.add({ atMs: nowMs, bytes: doneBytes });
    return {
      state: `${status} ${doneBytes} ${totalBytes}`,
      status,
      fraction: totalBytes > 0 ? fractionOf(job) : null,
      figures: figuresOf(job, this.#rate),
      isOver: isConcluded,
    };
  }
}

function fractionOf({ doneBytes, totalBytes }: Job): number {
  return Math.min(doneBytes / totalBytes, 1);
}

/** `42 %`, `112.0 MiB of 268.4 MiB`, `310.0 MiB/s`, `0:01 left`: what is known of it. */
function figuresOf(job: Job, meter: RateMeter): Figure[] {
  const { doneBytes, totalBytes } = job;
  if (totalBytes <= 0) return [];
  const percent = { text: `${Math.floor(fractionOf(job) * 100)} %`, rank: 0 };
  const rate = meter.bytesPerSecond();
  const figures = [percent, { text: `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`, rank: 2 }];
  if (rate === null || rate <= 0) return figures;
  const leftMs = (Math.max(totalBytes - doneBytes, 0) / rate) * 1000;
  const left = doneBytes < totalBytes ? [{ text: `${clockText(leftMs)} left`, rank: 0 }] : [];
  return [...figures, { text: `${sizeText(rate)}/s`, rank: 1 }, ...left];
}
