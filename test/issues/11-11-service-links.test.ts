// A pod next to a Service named `vmferry` did not start. Kubernetes sets VMFERRY_PORT and other variables in its
// environment, and the service treated every variable with its prefix as a misspelt flag.

import { describe, expect, test } from 'vitest';
import { ConfigError, readInvocation } from '../../src/config.ts';

describe('the environment of a pod', () => {
  const start = (environment: Readonly<Record<string, string>>) =>
    readInvocation(['serve'], '0.0.0', { VMFERRY_NAME: 'pod', ...environment });

  test.each(['VMFERRY', 'VMFERRY_TARGET', 'VMFERRY_HTTP'])(
    'with the variables of the Service %s does not prevent the start',
    (prefix) => {
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
      const environment = Object.fromEntries(
        Object.entries(links).map(([name, value]) => [`${prefix}_${name}`, value]),
      );
      expect(start(environment)).toMatchObject({ config: { machine: { name: 'pod' }, http: { port: 8080 } } });
    },
  );

  test.each([
    ['VMFERRY_PORT', '8080'],
    ['VMFERRY_PORT', 'http://10.0.0.1:8080'],
    ['VMFERRY_PORTS', 'tcp://10.0.0.1:8080'],
    ['VMFERRY_SERVICE', '10.0.0.1'],
  ])('with %s=%s prevents the start, since no flag has this name', (name, value) => {
    expect(() => start({ [name]: value })).toThrow(ConfigError);
  });
});
