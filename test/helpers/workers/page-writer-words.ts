// The words through which a test and its page writer talk: the round that was written last, stop, has ended.

export const ROUND = 0;
export const STOP = 1;
export const ENDED = 2;
