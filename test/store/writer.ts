import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/sqlite-store.ts';

/*
 * Writes for ever, to be killed: each change is a settings version, an event and a migration in one transaction, and is
 * told on standard output once it is committed.
 */

const [directory, schemaDirectory] = process.argv.slice(2) as [string, string];
const store = openStore(directory, schemaDirectory);

for (let version = (store.settings.load('parameters')?.version ?? 0) + 1; ; version += 1) {
  const json = JSON.stringify({ version });
  store.transaction(() => {
    store.settings.save('parameters', version - 1, { json, changedAt: version });
    store.events.append({ name: 'CHANGE', data: { version }, at: version });
    store.migrations.insert({
      id: `m${version}`,
      direction: 'outgoing',
      uri: 'tcp:h:1',
      status: 'failed',
      startedAt: version,
      endedAt: version,
      errorCode: null,
      errorDescription: null,
      guest: null,
      settingsJson: json,
      resultJson: null,
      sharedId: null,
      transferredBytes: null,
      totalTimeMs: null,
      downtimeMs: null,
    });
  });
  writeSync(1, `${version}\n`);
}
