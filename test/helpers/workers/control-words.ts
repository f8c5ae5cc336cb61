// The words shared by a test and the threads of control-runner.ts.

export const END = 0;
export const INSIDE = 1;
export const ENTRIES = 2;
