import { excludes, integerOf, type ParameterRule, percent, type SettingsGroup, uint64 } from '../declaration.ts';

/* Slows down a guest that dirties its memory faster than pages are sent: all vCPUs equally, or each to a dirty rate. */

const LIMIT_NOT_BELOW_INITIAL: ParameterRule = {
  name: 'max-cpu-throttle is not below cpu-throttle-initial',
  parameter: 'max-cpu-throttle',
  breaks: ({ parameters }) => integerOf(parameters, 'max-cpu-throttle') < integerOf(parameters, 'cpu-throttle-initial'),
  message: ({ parameters }) =>
    `max-cpu-throttle ${integerOf(parameters, 'max-cpu-throttle')} is below cpu-throttle-initial ` +
    `${integerOf(parameters, 'cpu-throttle-initial')}; it may be that up to 99.`,
  isRange: true,
};

export const THROTTLE = {
  capabilities: {
    'auto-converge': { isAvailable: true },
    'dirty-limit': {
      isAvailable: true,
      rules: [
        excludes('dirty-limit', 'auto-converge'),
        {
          name: 'dirty-limit needs a dirty ring',
          capability: 'dirty-limit',
          breaks: ({ hasDirtyRing }) => !hasDirtyRing,
          message: "Capability 'dirty-limit' needs a machine with a dirty ring (--dirty-ring-size).",
        },
      ],
    },
  },
  parameters: {
    'throttle-trigger-threshold': { ...percent(50, { min: 1n, max: 100n }), isLive: true },
    'cpu-throttle-initial': { ...percent(20, { min: 1n, max: 99n }), isLive: true },
    'cpu-throttle-increment': { ...percent(10, { min: 1n, max: 99n }), isLive: true },
    'cpu-throttle-tailslow': { type: 'bool', default: false, isLive: true },
    'max-cpu-throttle': { ...percent(99, { max: 99n }), isLive: true, rules: [LIMIT_NOT_BELOW_INITIAL] },
    'x-vcpu-dirty-limit-period': {
      ...uint64(1000, { min: 1n, max: 1000n, unit: 'ms' }),
      features: ['unstable'],
    },
    'vcpu-dirty-limit': { ...uint64(1, { min: 1n, unit: 'MB/s' }), description: 'MiB/s.' },
  },
  figures: {
    'cpu-throttle-percentage': {
      in: 'info',
      cell: 'cpuThrottlePercentage',
      onceCompleted: 'absent',
      isAbsentAtZero: true,
      monitor: { label: 'cpu throttle percentage' },
    },
    'dirty-limit-throttle-time-per-round': {
      in: 'info',
      dirtyLimit: 'perRoundUs',
      onceCompleted: 'absent',
      monitor: { label: 'dirty-limit throttle time', unit: 'us' },
    },
    'dirty-limit-ring-full-time': {
      in: 'info',
      dirtyLimit: 'ringFullUs',
      onceCompleted: 'absent',
      monitor: { label: 'dirty-limit ring full time', unit: 'us' },
    },
  },
} as const satisfies SettingsGroup;
