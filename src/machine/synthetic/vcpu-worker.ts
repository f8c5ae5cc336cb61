// The program of a vCPU's thread. It blocks while it is idle, receives no messages, and sends one: the guest has
// panicked.

import { parentPort, workerData } from 'node:worker_threads';
import { Vcpu, type VcpuPlan } from './vcpu.ts';

const plan: VcpuPlan = workerData;
new Vcpu(plan, () => parentPort?.postMessage('panic')).run();
