// What a row of the table of three doors says.

import type { FakeApp } from '../app.ts';
import type { JsonObject } from '../qemu/qmp.ts';

/** One call, the same through every door. */
export type DoorCall = {
  readonly flags?: readonly string[];
  /** Brings a service into the state in which this is asked. */
  readonly prepare?: (app: FakeApp) => unknown;
  /** What a test has to do for the answer to come, beside the call. */
  readonly meanwhile?: (app: FakeApp) => unknown;
  readonly given?: JsonObject | ((app: FakeApp) => JsonObject);
  /** The call as a line of the text monitor; left out: HMP has none. */
  readonly line?: string;
};

export type GoodCall = DoorCall & {
  /** Resolves when what was begun has ended: only then is there a state to compare. */
  readonly after?: (app: FakeApp) => unknown;
  /** What HMP shows of what QMP answers. Default: nothing. */
  readonly shown?: (result: never) => string;
  /** What QMP answers, made of what HTTP answers. Default: the same. A command that QMP answers with {} needs none. */
  readonly view?: (answer: never) => unknown;
  /** The part of an answer that does not change while the call is under way. Default: all of it. */
  readonly lasting?: (answer: never) => unknown;
  /** The query that answers over QMP, after a change, what HTTP answers to the change. */
  readonly shows?: { readonly query: string; readonly given?: JsonObject; readonly pick?: (result: never) => unknown };
};

export type RefusedCall = DoorCall & {
  /** QMP begins a job that fails for this, as QEMU does; HTTP refuses it at once. */
  readonly byJob?: true;
  /** Default: GenericError. */
  readonly errorClass?: string;
};

export type DoorRow = {
  /**
   * A text: the capability without which it cannot succeed, and which this version does not have. Null: it asks about what no
   * machine here has, and is always refused.
   */
  readonly good: GoodCall | string | null;
  /** Default: one member too many. */
  readonly refused?: RefusedCall;
  /** Of a connection, which HTTP and HMP have not: only the socket is asked. */
  readonly isOfConnection?: true;
  /** Cannot succeed without what only a unix socket carries: test/issues/11-23-descriptors.test.ts has the good calls. */
  readonly isOfSocket?: true;
};
