import { type SettingsGroup, size } from '../declaration.ts';

/* The passes over the guest's memory: their rate, their zero pages, and the events and checks of every migration. */

/** Size of a guest page. */
const PAGE_BYTES = 4096;

export const PRECOPY = {
  capabilities: {
    events: { isAvailable: true },
    'zero-blocks': { isAvailable: true, features: ['deprecated'] },
    'validate-uuid': { isAvailable: true },
    'rdma-pin-all': { isAvailable: false },
  },
  parameters: {
    'max-bandwidth': {
      ...size(128 * 1024 * 1024, { unit: 'bytes/s' }),
      description: 'Bytes/s; 0 is unlimited.',
      monitorUnit: 'bytes/second',
      isInMebibytes: true,
      monitorMax: 2n ** 63n - 1n,
      isLive: true,
    },
    'zero-page-detection': {
      type: 'enum',
      typeName: 'ZeroPageDetection',
      default: 'multifd',
      values: ['none', 'legacy', 'multifd'],
    },
  },
  figures: {
    transferred: {
      in: 'ram',
      cell: 'transferredBytes',
      description: 'Bytes sent.',
      monitor: { label: 'transferred ram', unit: 'kbytes' },
    },
    remaining: {
      in: 'ram',
      cell: 'remainingBytes',
      description: 'Bytes known to be dirty and not yet sent.',
      onceCompleted: 'zero',
      monitor: { label: 'remaining ram', unit: 'kbytes' },
    },
    total: {
      in: 'ram',
      cell: 'totalBytes',
      description: 'Bytes of guest RAM.',
      monitor: { label: 'total ram', unit: 'kbytes' },
    },
    duplicate: {
      in: 'ram',
      cell: 'duplicatePages',
      description: 'Zero pages.',
      monitor: { label: 'duplicate', unit: 'pages' },
    },
    normal: {
      in: 'ram',
      cell: 'normalPages',
      description: 'Whole pages sent.',
      monitor: { label: 'normal', unit: 'pages' },
    },
    'normal-bytes': {
      in: 'ram',
      cell: 'normalPages',
      factor: PAGE_BYTES,
      monitor: { label: 'normal bytes', unit: 'kbytes' },
    },
    'dirty-pages-rate': {
      in: 'ram',
      cell: 'dirtyPagesRate',
      description: 'Pages dirtied in a second.',
      onceCompleted: 'zero',
      monitor: { label: 'dirty pages rate', unit: 'pages', isHiddenAtZero: true },
    },
    mbps: {
      in: 'ram',
      cell: 'mbps',
      description: '10^6 bit/s.',
      isFraction: true,
      monitor: { label: 'throughput', unit: 'mbps' },
    },
    'dirty-sync-count': {
      in: 'ram',
      cell: 'dirtySyncCount',
      description: 'Number of the pass.',
      monitor: { label: 'dirty sync count' },
    },
    'page-size': { in: 'ram', constant: PAGE_BYTES, monitor: { label: 'page size', unit: 'kbytes' } },
    'pages-per-second': { in: 'ram', cell: 'pagesPerSecond', monitor: { label: 'pages-per-second' } },
    'precopy-bytes': {
      in: 'ram',
      cell: 'precopyBytes',
      monitor: { label: 'precopy ram', unit: 'kbytes', isHiddenAtZero: true },
    },
    'setup-time': {
      in: 'info',
      time: 'setupTimeMs',
      description: 'Milliseconds.',
      monitor: { label: 'setup', unit: 'ms' },
    },
    'total-time': {
      in: 'info',
      time: 'totalTimeMs',
      description: 'Milliseconds.',
      monitor: { label: 'total time', unit: 'ms' },
    },
  },
} as const satisfies SettingsGroup;
