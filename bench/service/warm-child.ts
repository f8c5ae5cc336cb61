/* Run as `node warm-child.ts BYTES`: touches so much fresh memory and ends, see warm.ts. */

const CHUNK_BYTES = 256 * 2 ** 20;

const held: Buffer[] = [];
for (let left = Number(process.argv[2]); left > 0; left -= CHUNK_BYTES) {
  held.push(Buffer.allocUnsafeSlow(Math.min(left, CHUNK_BYTES)).fill(1));
}
