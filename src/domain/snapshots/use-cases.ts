import type { Context } from '../context.ts';
import type { SnapshotUseCases } from '../domain.ts';
import { compactImages } from './compact.ts';
import { deleteSnapshot, refuseDelete } from './delete.ts';
import { nodesThatHold, nodesToDelete, nodesToSave, requireVmStateIn } from './devices.ts';
import { KeptDigests } from './kept-digests.ts';
import { loadSnapshot, refuseLoad } from './load.ts';
import { deleteVm, listVm, loadVm, saveVm } from './monitor.ts';
import { refuseSave, saveSnapshot } from './save.ts';
import { verifySnapshot } from './verify.ts';

/** Everything that can be done with snapshots of one machine. */
export function snapshotUseCases(context: Context): SnapshotUseCases {
  const { catalogue } = context;
  const digests = new KeptDigests(context);
  return {
    list: (query) => catalogue.list(query),
    get: (tag) => catalogue.get(tag),
    digests: (snapshot) => digests.of(snapshot),
    save: (request, begun) => saveSnapshot(context, request, begunOf(begun)),
    load: (request, begun) => loadSnapshot(context, request, begunOf(begun)),
    delete: (request, begun) => deleteSnapshot(context, request, begunOf(begun)),
    verify: (request, begun) => verifySnapshot(context, request, begunOf(begun)),
    compact: (request, begun) => compactImages(context, request, begunOf(begun)),
    checkSave: (request) => refuseSave(context, request),
    checkLoad: (request) => refuseLoad(context, request),
    checkDelete: (request) => refuseDelete(context, request),
    nodesToSave: () => nodesToSave(catalogue),
    nodesToLoad: (tag, given) => {
      const devices = given ?? nodesThatHold(catalogue, tag);
      return { devices, vmState: requireVmStateIn(catalogue.get(tag), devices) };
    },
    nodesToVerify: (tag, given) => {
      const { vmState, parts } = catalogue.get(tag);
      const devices = given ?? parts.map(({ node }) => node);
      return { devices, vmState: vmState !== null && devices.includes(vmState) ? vmState : null };
    },
    nodesToDelete: (tag, given) => nodesToDelete(catalogue, tag, given),
    nodes: () => catalogue.nodes(),
    newJobId: (verb) => `${verb}-${context.ids()}`,
    saveVm: (name) => saveVm(context, name),
    loadVm: (name) => loadVm(context, name),
    deleteVm: (name) => deleteVm(context, name),
    listVm: () => listVm(context),
  };
}

function begunOf(begun: Parameters<SnapshotUseCases['save']>[1]) {
  return begun === undefined ? {} : { begun };
}
