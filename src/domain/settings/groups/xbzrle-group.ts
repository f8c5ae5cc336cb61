import { excludes, integerOf, type ParameterRule, type SettingsGroup, size } from '../declaration.ts';

/* Pages that were sent before are sent again as differences. */

/** Size of a guest page: the smallest cache holds one. */
const PAGE_BYTES = 4096n;

const HOLDS_A_PAGE: ParameterRule = {
  name: 'xbzrle-cache-size is a power of two that holds a page',
  parameter: 'xbzrle-cache-size',
  breaks: ({ parameters }) => !isPowerOfTwo(integerOf(parameters, 'xbzrle-cache-size')),
  message: ({ parameters }) =>
    `xbzrle-cache-size ${integerOf(parameters, 'xbzrle-cache-size')} is not a power of two of at least ` +
    `${PAGE_BYTES} bytes.`,
  isRange: true,
};

export const XBZRLE = {
  capabilities: {
    xbzrle: { isAvailable: false, rules: [excludes('multifd', 'xbzrle')] },
  },
  parameters: {
    'xbzrle-cache-size': {
      ...size(64 * 1024 * 1024, { unit: 'bytes' }),
      monitorMax: 2n ** 63n - 1n,
      rules: [HOLDS_A_PAGE],
    },
  },
  figures: {
    'cache-size': { in: 'xbzrle-cache', cell: 'xbzrleCacheBytes', monitor: { label: 'cache size', unit: 'bytes' } },
    bytes: { in: 'xbzrle-cache', cell: 'xbzrleBytes', monitor: { label: 'xbzrle transferred', unit: 'kbytes' } },
    pages: { in: 'xbzrle-cache', cell: 'xbzrlePages', monitor: { label: 'xbzrle pages', unit: 'pages' } },
    'cache-miss': {
      in: 'xbzrle-cache',
      cell: 'xbzrleCacheMisses',
      monitor: { label: 'xbzrle cache miss', unit: 'pages' },
    },
    'cache-miss-rate': {
      in: 'xbzrle-cache',
      cell: 'xbzrleCacheMissRate',
      isFraction: true,
      monitor: { label: 'xbzrle cache miss rate' },
    },
    'encoding-rate': {
      in: 'xbzrle-cache',
      cell: 'xbzrleEncodingRate',
      isFraction: true,
      monitor: { label: 'xbzrle encoding rate' },
    },
    overflow: { in: 'xbzrle-cache', cell: 'xbzrleOverflows', monitor: { label: 'xbzrle overflow' } },
  },
} as const satisfies SettingsGroup;

function isPowerOfTwo(value: bigint): boolean {
  return value >= PAGE_BYTES && (value & (value - 1n)) === 0n;
}
