// `npm run test:proofs`: races, models, schedules, fuzz and timing of `npm test` once more, with the sizes that PROOFS=1 asks for.

import base from '../../jest.config.js'

process.env.PROOFS = '1'

/** @type {import('jest').Config} */
export default {
  ...base,
  testMatch: [
    '<rootDir>/test/security/**/*.test.ts',
    '<rootDir>/test/oauth1/{fuzz,races,timing}.test.ts',
    '<rootDir>/test/stores/{contention,memory,races}.test.ts',
    '<rootDir>/test/password.test.ts',
  ],
  testPathIgnorePatterns: [],
  testTimeout: 120_000,
}
