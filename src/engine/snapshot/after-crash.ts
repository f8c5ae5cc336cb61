import type { DeletePlan, SnapshotError, SnapshotTask } from '../../domain/ports/block-nodes.ts';
import type { SavePlan } from './block-engine-types.ts';
import { nodesOfSave, type TaskOrder } from './messages.ts';
import { withLeft } from './snapshot-failure.ts';

/** The thread that took the place of the one that died. */
type Survivor = { readonly hasThread: boolean; delete(plan: DeletePlan): SnapshotTask };

/** False for a task that has changed nothing that opening the images does not put right. */
export function leavesSomething({ kind }: TaskOrder): boolean {
  return kind === 'save' || kind === 'delete' || kind === 'rename' || kind === 'apply-disks';
}

/** The error of a task whose thread died, once what it left was taken back. */
export async function afterCrash(
  engine: Survivor,
  { kind, plan }: TaskOrder,
  error: SnapshotError,
): Promise<SnapshotError> {
  if (kind === 'save') {
    const left = await takeBack(engine, plan);
    return left === null ? error : withLeft(error, left);
  }
  if (kind === 'delete') return withLeft(error, `snapshot '${plan.tag}' may be gone from some of its nodes only`);
  if (kind === 'rename') return withLeft(error, `snapshot '${plan.as}' may be the old one on some of its nodes`);
  return error;
}

/**
 * The tag was free before the save, so what has it now is half-made. A node that refuses is asked again behind the
 * others, which may have made room. @returns what is left, or null.
 */
async function takeBack(engine: Survivor, plan: SavePlan): Promise<string | null> {
  const { tag } = plan;
  let left = nodesOfSave(plan);
  if (!engine.hasThread) return `snapshot '${tag}' may be half-made on nodes ${left.join(', ')}, which are not open`;
  let reasons: string[] = [];
  for (let round = 0; round < 2 && left.length > 0; round += 1) {
    const refused: string[] = [];
    reasons = [];
    for (const node of left) {
      await engine.delete({ tag, devices: [node] }).ended.catch(({ message }: SnapshotError) => {
        refused.push(node);
        reasons.push(`node ${node}: ${message}`);
      });
    }
    left = refused;
  }
  return left.length === 0
    ? null
    : `what was begun of snapshot '${tag}' could not be taken back: ${reasons.join('; ')}`;
}
