/**
 * Failures that nobody listens to: one line on the console for the first of a kind, then at most one a minute, with how many there were in between.
 *
 * 1. A kind is type, reason, and name and code of the cause, whatever the endpoint. At most 100 kinds are told apart; the others share one line a minute.
 * 2. A line has fixed words and what this server knows: never the message of a cause, which may hold a query or a password, and nothing that strangers wrote.
 * 3. There is no timer: what was counted is said with the next of its kind, however late that comes.
 */

/** What is read of an event. */
interface Failure {
  readonly type: string
  readonly endpoint?: string
  readonly client_id?: string
  readonly reason?: string
  readonly remedy?: string
  readonly cause_name?: string
  readonly cause_code?: string
}

interface Kind {
  /** When its last line was printed, in milliseconds. */
  saidAt: number
  /** How many came since. */
  unsaid: number
}

const mostKinds = 100
const minute = 60_000
const kinds = new Map<string, Kind>()
const others: Kind = { saidAt: -Infinity, unsaid: 0 }

/** Prints the line of a failure, or counts it. */
export function printFailure(event: Failure): void {
  const now = performance.now()
  const kind = kindOf(event, now)
  if (now - kind.saidAt < minute) {
    kind.unsaid++
    return
  }
  const { unsaid } = kind
  kind.saidAt = now
  kind.unsaid = 0
  console.error(lineOf(event, unsaid))
}

function kindOf({ type, reason, cause_name, cause_code }: Failure, now: number): Kind {
  const key = JSON.stringify([type, reason, cause_name, cause_code])
  const known = kinds.get(key)
  if (known !== undefined) return known
  if (kinds.size >= mostKinds) dropQuiet(now)
  if (kinds.size >= mostKinds) return others
  const kind = { saidAt: -Infinity, unsaid: 0 }
  kinds.set(key, kind)
  return kind
}

/** Forgets the kinds of which there is nothing left to say. */
function dropQuiet(now: number): void {
  for (const [key, { saidAt, unsaid }] of kinds) if (unsaid === 0 && now - saidAt >= minute) kinds.delete(key)
}

function lineOf({ type, endpoint, client_id, reason, remedy, cause_name, cause_code }: Failure, unsaid: number): string {
  const where = endpoint === undefined ? '' : ` (${endpoint})`
  const whose = client_id !== undefined && isPlain(client_id) ? ` for client ${client_id}` : ''
  const below = cause_name === undefined ? '' : ` [${cause_code === undefined ? cause_name : `${cause_name} ${cause_code}`}]`
  const help = remedy === undefined ? '' : `; ${remedy}`
  const more = unsaid === 0 ? '' : `; ${unsaid} more since the last such line`
  const hint = '; set onEvent, or NODE_DEBUG=oauth2-token-handler, to see all of it'
  const line = `oauth2-token-handler: ${type}${where}${whose}: ${reason ?? 'no reason is known'}${below}${help}${more}${hint}`
  // Terminals obey control characters.
  return line.replace(/\p{C}/gu, '?')
}

/** A client_id that is the URL of a metadata document has been written by a stranger. */
function isPlain(client_id: string): boolean {
  return /^[\w.~-]{1,100}$/.test(client_id)
}
