// The words through which a test and the threads of control-runner.ts talk.

export const END = 0;
export const INSIDE = 1;
export const ENTRIES = 2;
