/**
 * How much each proof is asked to show: a short column for every run of the tests, one for `npm run test:proofs` (PROOFS=1), a long one with LONG=1.
 */

export const isLong = process.env.LONG === '1'

/** Whether timing is measured and memory watched: what takes long, or fails on a machine that has other work. */
export const isProof = isLong || process.env.PROOFS === '1'

function size(short: number, long: number, proof = short): number {
  return isLong ? long : isProof ? proof : short
}

export const sizes = {
  /** Requests that race for one credential, and how often they do. */
  contestants: 100,
  rounds: size(6, 1_000, 20),
  /** How many servers share the store in a race. */
  processes: size(2, 4),
  schedules: size(150, 10_000, 500),
  modelRuns: size(60, 5_000, 200),
  fuzzCases: size(500, 1_000_000, 2_000),
  /** Changed tokens per algorithm that are read by us and by jose. */
  comparedTokens: size(100, 20_000, 300),
  timingSamples: size(5_000, 100_000),
  issuedTokens: size(100_000, 10_000_000),
  /** Tokens that the memory store holds for a minute each, and looks at. */
  heldTokens: size(20_000, 100_000, 100_000),
  /** Revocations amidst busy loops. */
  revocations: size(5, 20, 20),
  /** Requests of strangers: so many pushed requests, as many documents over a tenth as many hosts, half as many registrations. */
  strangers: size(1_000, 100_000),
  /** Workers that are killed, and restarts of a database, under load. */
  kills: size(10, 500),
  crashes: size(2, 50),
  /** Authorizations of one client in PostgreSQL and in Redis, and clients in either, that a process with little room lists. */
  listedInPostgres: size(20_000, 1_500_000),
  listedInRedis: size(10_000, 300_000),
  listedClients: size(10_000, 300_000),
} as const

/** Milliseconds that a test with such sizes may take on a machine that has other work. */
export const patience = size(60_000, 14_400_000)
