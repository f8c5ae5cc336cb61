import { expect, onTestFinished, test } from 'vitest';
import type { TransferListener } from '../../../src/domain/ports/migration-session.ts';
import { createTransferEngine } from '../../../src/engine/engine.ts';
import { VcpuControl } from '../../../src/engine/memory/vcpu-control.ts';
import type { OutgoingPlan } from '../../../src/engine/transfer-engine.ts';
import { liveParameters } from '../../helpers/live-parameters.ts';

const LISTENER: TransferListener = {
  status: () => {},
  pass: () => {},
  passEnded: () => {},
  shared: () => {},
  limitVcpus: () => {},
  guestStopped: () => {},
  releaseDisks: async () => {},
  guestResumed: () => {},
  rejected: () => {},
  released: () => {},
};

test('throttled vCPUs run at full speed after the worker of the migration has died', async () => {
  const control = new VcpuControl();
  control.throttlePercent = 70;
  const program = `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => { throw new Error('dead'); });`;
  const engine = createTransferEngine({ workerUrl: new URL(`data:text/javascript,${encodeURIComponent(program)}`) });
  onTestFinished(() => engine.close());
  const plan: OutgoingPlan = {
    channels: { main: { transport: 'tcp', host: '127.0.0.1', port: 1 } },
    fileRoot: '/',
    source: {
      machineName: 'small',
      memory: { segments: [], blocks: [] },
      vcpuControl: control.buffer,
      state: { form: 'devices', devices: [] },
    },
    capabilities: ['auto-converge'],
    opensReturnPath: false,
    parameters: liveParameters(),
    detectsZeroPages: true,
    deadlines: { connectMs: 1000, stallMs: 1000, handoverMs: 1000, advanceMs: 1000 },
    sharedId: '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab',
    uuid: null,
  };
  const end = await engine.startOutgoing(plan, LISTENER).ended;
  expect(end).toMatchObject({ status: 'failed', error: { code: 'engine_crashed' }, guest: 'here' });
  expect(control.throttlePercent).toBe(0);
});
