// Issue 11, item 11. A pod beside a Service of the name `vmferry` did not start: Kubernetes sets VMFERRY_PORT and others in its
// environment, which were taken for misspelt flags. Every variable with the prefix was supposed to be ours.

import { describe, expect, test } from 'vitest';
import { ConfigError, readInvocation } from '../../src/config.ts';

describe('the environment of a pod', () => {
  const start = (environment: Readonly<Record<string, string>>) =>
    readInvocation(['serve'], '0.0.0', { VMFERRY_NAME: 'pod', ...environment });

  test.each(['VMFERRY', 'VMFERRY_TARGET', 'VMFERRY_HTTP'])('with the variables of the Service %s starts', (prefix) => {
    const links = {
      SERVICE_HOST: '10.0.0.1',
      SERVICE_PORT: '8080',
      SERVICE_PORT_HTTP: '8080',
      PORT: 'tcp://10.0.0.1:8080',
      PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      PORT_8080_TCP_PROTO: 'tcp',
      PORT_8080_TCP_PORT: '8080',
      PORT_8080_TCP_ADDR: '10.0.0.1',
      PORT_53_UDP: 'udp://[fd00::1]:53',
    };
    const environment = Object.fromEntries(Object.entries(links).map(([name, value]) => [`${prefix}_${name}`, value]));
    expect(start(environment)).toMatchObject({ config: { machine: { name: 'pod' }, http: { port: 8080 } } });
  });

  test.each([
    ['VMFERRY_PORT', '8080'],
    ['VMFERRY_PORT', 'http://10.0.0.1:8080'],
    ['VMFERRY_PORTS', 'tcp://10.0.0.1:8080'],
    ['VMFERRY_SERVICE', '10.0.0.1'],
  ])('with %s=%s does not start, since nothing reads that', (name, value) => {
    expect(() => start({ [name]: value })).toThrow(ConfigError);
  });
});
