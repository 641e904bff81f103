// After the tests: says which of them were skipped for want of a database.

export default function reportServices() {
  const missing = process.env.SKIPPED_SERVICES
  if (missing) console.warn(`\nSKIPPED: the tests that need ${missing}, which cannot be reached (DATABASE_URL, REDIS_URL)`)
}
