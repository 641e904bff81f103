// `npm run test:long`: test/long, and every test of `npm test` once more with the sizes that LONG=1 asks for.

import base from '../../jest.config.js'

process.env.LONG = '1'

/** @type {import('jest').Config} */
export default {
  ...base,
  testPathIgnorePatterns: ['<rootDir>/test/services/'],
  testTimeout: 1_800_000,
}
