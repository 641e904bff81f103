/**
 * What every store of one's own over a database needs beside its four statements: `oauth2-token-handler/stores/kit`.
 *
 *   rows       toDocument on the way in; fromRow (`get`) and fromListedRow (`list`, `scan`) on the way out; rangeOfKind (`scan`)
 *   failures   retrying, for what certainly did not happen; errorMember reads the code of a driver's error
 *   upkeep     readUpkeep and durableOptionNames for the options, startSweeping, graceSeconds, assertWhole
 *   clocks     serverTime, which compares the clock of the database server with that of this process
 *
 * The page `docs/store-of-your-own.md` builds a store from them.
 */
export { fromListedRow, fromRow, rangeOfKind, toDocument, UnreadableDocument, type Row } from './document.js'
export { serverTime, type ServerTime } from './server-time.js'
export {
  assertWhole,
  durableOptionNames,
  errorMember,
  graceSeconds,
  readUpkeep,
  retrying,
  startSweeping,
  type DeleteExpiredOptions,
  type DurableStoreOptions,
  type SweepBatch,
  type SweptBatch,
  type SweepingOptions,
  type Upkeep,
} from './upkeep.js'
