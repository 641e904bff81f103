// `npm run test:long`: every test of `npm test` once more with the sizes that LONG=1 asks for, and of test/services what has such sizes.

import base from '../../jest.config.js'

process.env.LONG = '1'

/** @type {import('jest').Config} */
export default {
  ...base,
  testPathIgnorePatterns: ['<rootDir>/test/services/(?!crashes\\.|listing\\.|storms\\.|weather\\.)'],
  testTimeout: 14_400_000,
}
