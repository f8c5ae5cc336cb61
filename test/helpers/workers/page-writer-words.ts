// The words shared by a test and its page writer: stop, has ended, and from PAGE_WORDS on, for each page, the value
// that the test has seen in it.

export const STOP = 0;
export const ENDED = 1;
export const PAGE_WORDS = 2;
