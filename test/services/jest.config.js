// `npm run test:services`: the tests that need PostgreSQL or Redis (DATABASE_URL, REDIS_URL).

import base from '../../jest.config.js'

/** @type {import('jest').Config} */
export default {
  ...base,
  testMatch: ['<rootDir>/test/services/**/*.test.ts'],
  testPathIgnorePatterns: [],
  testTimeout: 60_000,
}
