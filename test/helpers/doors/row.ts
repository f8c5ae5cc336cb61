// The form of a row in the table of three doors.

import type { FakeApp } from '../app.ts';
import type { JsonObject } from '../qemu/qmp.ts';

/** One call, the same through every door. */
export type DoorCall = {
  readonly flags?: readonly string[];
  /** Brings a service into the state for the call. */
  readonly prepare?: (app: FakeApp) => unknown;
  /** Additional actions of the test that the answer requires. */
  readonly meanwhile?: (app: FakeApp) => unknown;
  readonly given?: JsonObject | ((app: FakeApp) => JsonObject);
  /** The call as a line of the text monitor; absent if HMP has no such command. */
  readonly line?: string;
};

export type GoodCall = DoorCall & {
  /** Resolves when the started work has ended, so that the states can be compared. */
  readonly after?: (app: FakeApp) => unknown;
  /** The part of the QMP answer that HMP shows. Default: nothing. */
  readonly shown?: (result: never) => string;
  /** Derives the QMP answer from the HTTP answer. Default: equal. A command with the QMP answer {} needs none. */
  readonly view?: (answer: never) => unknown;
  /** The part of an answer that is constant during the call. Default: all of it. */
  readonly lasting?: (answer: never) => unknown;
  /** The QMP query with the same answer as HTTP returns for the change. */
  readonly shows?: { readonly query: string; readonly given?: JsonObject; readonly pick?: (result: never) => unknown };
};

export type RefusedCall = DoorCall & {
  /** True if QMP starts a job that fails, as QEMU does, while HTTP refuses the call at once. */
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
  /** Default: one unknown member. */
  readonly refused?: RefusedCall;
  /** True for a command of a connection, which only the QMP socket has. */
  readonly isOfConnection?: true;
  /** Cannot succeed without what only a unix socket carries: test/issues/11-23-descriptors.test.ts has the good calls. */
  readonly isOfSocket?: true;
};
