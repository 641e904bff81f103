/** How much each proof is asked to show: a short column for every run of the tests, a long one with LONG=1. */

export const isLong = process.env.LONG === '1'

function size(short: number, long: number): number {
  return isLong ? long : short
}

export const sizes = {
  /** Requests that race for one credential, and how often they do. */
  contestants: 100,
  rounds: size(20, 1_000),
  /** How many servers share the store in a race. */
  processes: size(2, 4),
  schedules: size(500, 10_000),
  modelRuns: size(200, 5_000),
  fuzzCases: size(2_000, 1_000_000),
  /** Changed tokens per algorithm that are read by us and by jose. */
  comparedTokens: size(300, 20_000),
  timingSamples: size(5_000, 100_000),
  issuedTokens: size(100_000, 10_000_000),
  /** Requests of strangers: so many pushed requests, as many documents over a tenth as many hosts, half as many registrations. */
  strangers: size(1_000, 100_000),
  /** Workers that are killed, and restarts of a database, under load. */
  kills: size(10, 500),
  crashes: size(2, 50),
} as const

/** Milliseconds that a test with such sizes may take on a machine that has other work. */
export const patience = size(60_000, 14_400_000)
