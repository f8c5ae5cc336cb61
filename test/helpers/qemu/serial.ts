// Parses the output of the test guest. SeaBIOS may leave the cursor within a line before the first line of the guest.

/** The counter values of the guest in their order. @throws Error if the guest reported wrong memory. */
export function guestTicks(serialText: string): number[] {
  const wrong = guestComplaint(serialText);
  if (wrong !== null) throw new Error(`The guest found wrong memory at address 0x${wrong}.`);
  return [...serialText.matchAll(/T ([0-9a-f]{8})$/gm)].map((match) => Number.parseInt(match[1] as string, 16));
}

/** How many lines the guest has completed. */
export function tickCount(serialText: string): number {
  return serialText.match(/T [0-9a-f]{8}$/gm)?.length ?? 0;
}

/** The address, in hexadecimal, of the wrong memory the guest found; null when it found none. */
export function guestComplaint(serialText: string): string | null {
  return /E ([0-9a-f]{8})$/m.exec(serialText)?.[1] ?? null;
}

/**
 * Joins the texts of source, middle stations and target (a line may be cut in two by the move) and gives the number
 * of ticks; throws unless they count 1, 2, 3 ... without a gap or a repetition.
 */
export function continuousTicks(...serialTexts: readonly string[]): number {
  const ticks = guestTicks(serialTexts.join(''));
  ticks.forEach((tick, index) => {
    if (tick !== index + 1) throw new Error(`Tick ${index + 1} of the guest reads ${tick}.`);
  });
  return ticks.length;
}
