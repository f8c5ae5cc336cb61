import type { SettingsGroup } from '../declaration.ts';

/* Encrypted channels. An empty name: none. */

export const TLS = {
  capabilities: {},
  parameters: {
    'tls-creds': { type: 'string-or-null', default: '', available: [''] },
    'tls-hostname': { type: 'string-or-null', default: '' },
    'tls-authz': { type: 'string-or-null', default: '' },
  },
} as const satisfies SettingsGroup;
