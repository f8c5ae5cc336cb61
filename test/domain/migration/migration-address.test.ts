import { describe, expect, it } from 'vitest';
import { readAddress } from '../../../src/domain/migration/channels.ts';
import { FdSets } from '../../../src/domain/migration/client-descriptors.ts';
import { type AddressUse, addressText } from '../../../src/domain/migration/migration-address.ts';
import { refusalOf } from '../fakes/refusal.ts';

// QEMU scenarios: /migration/validate_uri/channels/both_set, /migration/validate_uri/channels/none_set

const NO_SETS = new FdSets({ close: () => {}, duplicate: (fd) => fd, accessOf: () => 'unknown' });
const RULES = { fileRoot: '/data/files', allowExec: true, fds: new Map([['peer', 7]]), fdSets: NO_SETS };

const uri = (text: string, use: AddressUse = 'connect', rules = RULES) => readAddress({ uri: text }, use, rules);
const channel = (addr: unknown, use: AddressUse = 'connect', rules = RULES) =>
  readAddress({ channels: [{ 'channel-type': 'main', addr }] }, use, rules);
const codeOf = (work: () => unknown) => refusalOf(work)?.code ?? null;

describe('a uri', () => {
  it.each([
    ['tcp:example.org:4444', { transport: 'tcp', host: 'example.org', port: 4444 }],
    ['tcp:[fe80::1]:80', { transport: 'tcp', host: 'fe80::1', port: 80 }],
    ['unix:/run/m.sock', { transport: 'unix', path: '/run/m.sock' }],
    ['file:a/b', { transport: 'file', path: 'a/b', offset: 0 }],
    ['file:/data/files/./a//b', { transport: 'file', path: 'a/b', offset: 0 }],
    ['file:a,offset=0x1000', { transport: 'file', path: 'a', offset: 4096 }],
    ['file:a,offset=2M', { transport: 'file', path: 'a', offset: 2 * 2 ** 20 }],
    ['exec:cat > /dev/null; id', { transport: 'exec', command: ['/bin/sh', '-c', 'cat > /dev/null; id'] }],
    ['fd:peer', { transport: 'fd', fd: 7, name: 'peer' }],
  ])('%s is parsed', (text, address) => {
    expect(uri(text)).toEqual(address);
  });

  it('listens on every interface without a host, and on any port with port 0', () => {
    expect(uri('tcp::0', 'listen')).toEqual({ transport: 'tcp', host: '', port: 0 });
    expect(codeOf(() => uri('tcp::4444'))).toBe('invalid_address');
    expect(codeOf(() => uri('tcp:h:0'))).toBe('invalid_address');
  });

  it.each([
    ['', 'invalid_address'],
    ['bogus:x', 'invalid_address'],
    ['tcp', 'invalid_address'],
    ['tcp:h', 'invalid_address'],
    ['tcp:h:65536', 'invalid_address'],
    ['tcp:h:-1', 'invalid_address'],
    ['tcp:h:80,to=much', 'invalid_address'],
    ['tcp:h:80,ipv4=maybe', 'invalid_address'],
    ['tcp:h:80,ipv4=off,ipv6=off', 'invalid_address'],
    ['tcp:h:80,other=on', 'invalid_address'],
    ['tcp:h:80,mptcp=on', 'transport_not_available'],
    ['tcp:::1:80', 'invalid_address'],
    ['unix:', 'invalid_address'],
    [`unix:/${'x'.repeat(107)}`, 'invalid_address'],
    ['unix:a\0b', 'invalid_address'],
    ['file:', 'invalid_address'],
    ['file:a/', 'invalid_address'],
    ['file:.', 'invalid_address'],
    ['file:/data/files', 'invalid_address'],
    ['file:a,offset=0x20M', 'invalid_address'],
    ['file:a,offset=-1', 'invalid_address'],
    ['file:a,offset=', 'invalid_address'],
    ['file:a,offset=16E', 'invalid_address'],
    ['file:../x', 'file_outside_root'],
    ['file:a/../../x', 'file_outside_root'],
    ['file:a/../x', 'file_outside_root'],
    ['file:/etc/passwd', 'file_outside_root'],
    ['file:/data/filesystem', 'file_outside_root'],
    ['file:/data/files/../x', 'file_outside_root'],
    ['fd:unknown', 'invalid_address'],
    ['rdma:h:1', 'transport_not_available'],
  ])('%j is refused', (text, code) => {
    expect(codeOf(() => uri(text))).toBe(code);
  });

  it('with exec: requires the permission of the start', () => {
    const rules = { ...RULES, allowExec: false };
    expect(refusalOf(() => uri('exec:id', 'connect', rules))).toMatchObject({
      code: 'exec_not_allowed',
      kind: 'forbidden',
    });
    expect(codeOf(() => channel({ transport: 'exec', args: ['id'] }, 'connect', rules))).toBe('exec_not_allowed');
  });

  it('is formatted as it was parsed', () => {
    for (const text of ['tcp:h:1', 'tcp:[::1]:1', 'unix:/a', 'file:a,offset=512', 'file:a']) {
      expect(addressText(uri(text))).toBe(text);
    }
  });
});

describe('channels', () => {
  it.each([
    [
      { transport: 'socket', type: 'inet', host: 'h', port: '80' },
      { transport: 'tcp', host: 'h', port: 80 },
    ],
    [
      { transport: 'socket', type: 'unix', path: '/a' },
      { transport: 'unix', path: '/a' },
    ],
    [
      { transport: 'socket', type: 'fd', str: 'peer' },
      { transport: 'fd', fd: 7, name: 'peer' },
    ],
    [
      { transport: 'exec', args: ['/bin/cat', '-'] },
      { transport: 'exec', command: ['/bin/cat', '-'] },
    ],
    [
      { transport: 'file', filename: 'a', offset: 512 },
      { transport: 'file', path: 'a', offset: 512 },
    ],
  ])('%j is parsed', (addr, address) => {
    expect(channel(addr)).toEqual(address);
  });

  it.each([
    [{ transport: 'socket', type: 'vsock', cid: '1', port: '1' }, 'transport_not_available'],
    [{ transport: 'rdma', host: 'h', port: '1' }, 'transport_not_available'],
    [{ transport: 'socket', type: 'inet', host: 'h', port: '80', to: 70_000 }, 'invalid_address'],
    [{ transport: 'socket', type: 'inet', host: 'h', port: 80 }, 'wrong_type'],
    [{ transport: 'socket', type: 'inet', host: 'h' }, 'wrong_type'],
    [{ transport: 'socket', type: 'inet', host: 'h', port: '80', color: 1 }, 'unknown_member'],
    [{ transport: 'socket', type: 'bogus' }, 'invalid_address'],
    [{ transport: 'bogus' }, 'invalid_address'],
    [{ transport: 'exec', args: 'id' }, 'wrong_type'],
    [{ transport: 'exec', args: [] }, 'invalid_address'],
    [{ transport: 'exec', args: [''] }, 'invalid_address'],
    [{ transport: 'file', filename: 'a' }, 'wrong_type'],
    [{ transport: 'file', filename: 'a', offset: -1 }, 'invalid_address'],
    [{ transport: 'file', filename: '/etc/passwd', offset: 0 }, 'file_outside_root'],
    ['tcp:h:1', 'wrong_type'],
    [null, 'wrong_type'],
  ])('%j is refused', (addr, code) => {
    expect(codeOf(() => channel(addr))).toBe(code);
  });

  it('are accepted instead of a uri and not with one, and exactly one of them is the main channel', () => {
    const main = { 'channel-type': 'main', addr: { transport: 'socket', type: 'unix', path: '/a' } };
    const read = (given: Parameters<typeof readAddress>[0]) => codeOf(() => readAddress(given, 'connect', RULES));
    expect(read({})).toBe('uri_or_channels');
    expect(read({ uri: 'tcp:h:1', channels: [main] })).toBe('uri_or_channels');
    expect(read({ channels: [] })).toBe('invalid_address');
    expect(read({ channels: [main, main] })).toBe('invalid_address');
    expect(read({ channels: [{ ...main, 'channel-type': 'cpr' }] })).toBe('invalid_address');
    expect(read({ channels: [{ ...main, bogus: 1 }] })).toBe('unknown_member');
    expect(read({ channels: [main] })).toBeNull();
  });
});
