/** The README beside the recorded streams. */
import type { Recording } from './record.ts';

const HEAD = `# Recorded migration streams

Written by \`node scripts/record-fixtures.ts\`; do not edit. Each \`*.bin.gz\` is what a real QEMU sent on its main channel,
gzipped and otherwise untouched; \`*.return.bin.gz\` is what the target answered on the same socket. The guest is the one of
\`test/helpers/qemu/guest.ts\`, as firmware (\`guest.rom\`) or boot floppy (\`guest.img\`).

\`facts.json\` has for every stream: its length and SHA-256; \`ticks\`, the lines the guest had written when it was stopped;
the SHA-256 of the source's physical memory afterwards (\`pmemsave\`), below 0xa0000 (low) and from 0x100000 to the end of
RAM (high), where physical addresses are offsets in the block \`pc.ram\`; and \`query-migrate\` at the end.

\`$DIR\` is a temporary directory. The lines after the command are what was said over QMP.
`;

export function readmeFor(recordings: readonly Recording[]): string {
  const parts = recordings.map(({ recipe, commands }) => {
    return `\n## ${recipe.name}\n\n${recipe.shows}\n\n\`\`\`\n${commands.join('\n')}\n\`\`\`\n`;
  });
  return HEAD + parts.join('');
}
