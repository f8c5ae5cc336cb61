import { describe, expect, test, vi } from 'vitest';
import { OutgoingEnd } from '../../../src/engine/channels/channel.ts';

const RESET = { code: 'peer_reset', message: 'reset' } as const;
const CLOSED = { code: 'peer_closed', message: 'closed' } as const;

describe('the end of an outgoing channel', () => {
  test('reports the first failure only, even to a later listener', () => {
    const end = new OutgoingEnd();
    end.fail(RESET);
    end.fail(CLOSED);
    const listener = vi.fn();
    end.onFailure(listener);
    expect(listener.mock.calls).toEqual([[RESET]]);
  });

  test('rejects a finish after a failure, and a finish that a failure follows', async () => {
    const failed = new OutgoingEnd();
    failed.fail(RESET);
    await expect(failed.finish()).rejects.toEqual(RESET);
    const failing = new OutgoingEnd();
    const finish = failing.finish();
    failing.fail(CLOSED);
    failing.finished();
    await expect(finish).rejects.toEqual(CLOSED);
  });

  test('reports no failure after a finish', async () => {
    const end = new OutgoingEnd();
    const listener = vi.fn();
    end.onFailure(listener);
    end.finished();
    expect(end.isFinishing).toBe(false);
    const finish = end.finish();
    end.finished();
    end.fail(RESET);
    await expect(finish).resolves.toBeUndefined();
    expect(listener).not.toHaveBeenCalled();
  });

  test('reports no failure once it is muted', () => {
    const end = new OutgoingEnd();
    const listener = vi.fn();
    end.onFailure(listener);
    end.mute();
    end.fail(RESET);
    expect(listener).not.toHaveBeenCalled();
  });
});
