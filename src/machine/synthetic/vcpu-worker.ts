// A vCPU's thread. It blocks while it has nothing to do, takes no messages and sends one: that the guest has panicked.

import { parentPort, workerData } from 'node:worker_threads';
import { Vcpu, type VcpuPlan } from './vcpu.ts';

const plan: VcpuPlan = workerData;
new Vcpu(plan, () => parentPort?.postMessage('panic')).run();
