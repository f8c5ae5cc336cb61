import type { CommandContext } from './command.ts';

/* The text monitor as the doors see it that hand it a line: they know neither its commands nor its words. */

/** What a door may give beside the line. */
export type MonitorIo = {
  /** Told a line of text now and then while a command takes its time. */
  readonly progress?: (text: string) => void;
  /** Ends the waiting, not the work. */
  readonly signal?: AbortSignal;
  /** Handed to every command that the line leads to. */
  readonly context?: CommandContext;
};

export type MonitorAnswer = {
  /** What a terminal would show: nothing, or lines that each end with a line feed. */
  readonly text: string;
  /** False if the line was no command, or not one with these arguments: nothing was tried then. */
  readonly isCommand: boolean;
};

/** The text monitor of one machine. */
export interface TextMonitor {
  answer(line: string, io?: MonitorIo): Promise<MonitorAnswer>;
  /** What the last word of the line may become; empty if nothing is known. */
  complete(line: string): readonly string[];
}
