// The tests of `npm test`. Those that need a database, or more time, have a configuration of their own that starts from
// this one: test/services/jest.config.js, test/proofs/jest.config.js and test/long/jest.config.js.

/** @type {import('jest').Config} */
export default {
  rootDir: import.meta.dirname,
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // What is measured by the clock, and the growth of memory, is for `npm run test:proofs`.
  testPathIgnorePatterns: ['<rootDir>/test/services/', '/timing.test.ts$', '/memory-growth.test.ts$'],
  testEnvironment: 'node',
  testTimeout: 20_000,
  globalSetup: '<rootDir>/test/support/probe-services.js',
  globalTeardown: '<rootDir>/test/support/report-services.js',
  maxWorkers: 2,
  injectGlobals: false,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': ['ts-jest', { useESM: true, transpilation: true, tsconfig: '<rootDir>/tsconfig.json' }] },
  moduleNameMapper: {
    '^oauth2-token-handler$': '<rootDir>/src/index.ts',
    '^oauth2-token-handler/oauth1$': '<rootDir>/src/oauth1/index.ts',
    '^oauth2-token-handler/(.*)$': '<rootDir>/src/$1.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts'],
  coverageDirectory: '<rootDir>/coverage',
}
