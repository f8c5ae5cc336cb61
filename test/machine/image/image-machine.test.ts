import { describe, expect, it } from 'vitest';
import { createGuestMemory } from '../../../src/engine/memory/guest-memory.ts';
import type { LoadedMachine } from '../../../src/engine/memory/machine-state.ts';
import { createImageMachine } from '../../../src/machine/image/image-machine.ts';

function loadedImage(ramBytes: number): LoadedMachine {
  const memory = createGuestMemory([
    { name: 'pc.ram', bytes: ramBytes },
    { name: 'vga.vram', bytes: 65536 },
  ]);
  const image = {
    configurationTail: Uint8Array.of(1),
    ramSectionId: 3,
    switchoverStart: true,
    earlySections: [],
    sections: [],
    vmDescription: null,
  };
  return { globalState: 'running', state: { form: 'image', machineName: 'pc-i440fx-10.0', memory, image } };
}

describe('an image machine', () => {
  it('has nothing to send until it has adopted a machine', () => {
    const machine = createImageMachine();
    expect(machine.isLoaded).toBe(false);
    expect(machine.canRun).toBe(false);
    expect(machine.describe()).toEqual({ machineName: null, ramBlocks: [], vcpus: 0, guest: null });
    expect(() => machine.transferSource()).toThrow(/nothing to send/);
    expect(machine.console()).toBeNull();
    expect(() => machine.setWorkload()).toThrow(/no workload/);
  });

  it('sends exactly the machine that it adopted', () => {
    const machine = createImageMachine();
    const loaded = loadedImage(2 ** 20);
    machine.adopt(loaded);
    expect(machine.isLoaded).toBe(true);
    expect(machine.describe().ramBlocks).toEqual([
      { name: 'pc.ram', bytes: 2 ** 20 },
      { name: 'vga.vram', bytes: 65536 },
    ]);
    const source = machine.transferSource();
    if (loaded.state.form !== 'image' || source.state.form !== 'image') throw new Error('both are images');
    expect(source.machineName).toBe('pc-i440fx-10.0');
    expect(source.vcpuControl).toBeNull();
    expect(source.memory).toBe(loaded.state.memory);
    expect(source.state.image).toBe(loaded.state.image);
  });

  it('refuses a machine above the size limit and the devices of a synthetic guest, and keeps its present machine', () => {
    const machine = createImageMachine({ ramBytesMax: 2 ** 20 + 65536 });
    machine.adopt(loadedImage(2 ** 20));
    expect(machine.transferTarget()).toEqual({ form: 'image', ramBytesMax: 2 ** 20 + 65536 });
    expect(() => machine.adopt(loadedImage(2 ** 20 + 4096))).toThrow(/has 1118208 bytes of RAM; allowed are 1114112/);
    const memory = { segments: [], blocks: [] };
    expect(() => machine.adopt({ globalState: 'running', state: { form: 'devices', bodies: [], memory } })).toThrow(
      /devices/,
    );
    expect(machine.describe().ramBlocks[0]?.bytes).toBe(2 ** 20);
  });

  it('records its holds', async () => {
    const machine = createImageMachine({ holds: ['incoming'] });
    await machine.hold('operator');
    machine.release('incoming');
    expect([machine.isHeldFor('incoming'), machine.isHeldFor('operator')]).toEqual([false, true]);
  });

  it('releases its RAM when it is closed', async () => {
    const machine = createImageMachine();
    machine.adopt(loadedImage(2 ** 20));
    await machine.close();
    expect(machine.isLoaded).toBe(false);
  });
});
