/**
 * Values that are allowed and seldom meant: the server starts with them, and its deployer is told once what they do. Nothing of a secret is told.
 */
import type { ClientMetadata } from './client.js'

const day = 86_400
/** Seconds. A token is a credential that nobody renews. */
const longAccessToken = 31 * day
/** Seconds. One day in milliseconds is longer. */
const longRefresh = 730 * day

/** RFC 6749 §10.10: credentials that are not for people must be hard to guess. */
const shortSecret = 12

// What bcrypt, argon2, scrypt, PBKDF2 and crypt(3) write
const hashOfOthers = /^(?:\$(?:2[abxy]?|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*|[156y])\$|\{(?:SSHA|SHA|CRYPT|PBKDF2)[\w-]*\}|pbkdf2(?:_|:))/i

type Members = Partial<Readonly<Record<keyof ClientMetadata, unknown>>>

interface Suspicion {
  readonly applies: (client: Members) => boolean
  /** What is said of the clients that are named before it. */
  readonly remedy: string
}

const suspicions: readonly Suspicion[] = [
  {
    applies: ({ client_secret }) => typeof client_secret === 'string' && hashOfOthers.test(client_secret),
    remedy:
      'client_secret looks like a hash, and the hash would be the secret; put the plain secret there, or secrets: [{ hash: await hashClientSecret(secret) }]',
  },
  {
    applies: ({ client_secret }) => typeof client_secret === 'string' && client_secret.length < shortSecret,
    remedy: `client_secret has fewer than ${shortSecret} characters and can be guessed; make one with: node -p "crypto.randomBytes(32).toString('base64url')"`,
  },
  {
    applies: ({ redirect_uris }) =>
      Array.isArray(redirect_uris) && redirect_uris.some((uri) => typeof uri === 'string' && uri.includes('*')),
    remedy: 'redirect_uris has a "*", which stands for nothing but itself: each is compared byte for byte; register every URI',
  },
  {
    applies: ({ grant_types }) => Array.isArray(grant_types) && grant_types.length === 1 && grant_types[0] === 'refresh_token',
    remedy:
      'grant_types has refresh_token alone, and no grant that gives a first one; add the grant, as authorization_code, unless issueTokens does that',
  },
  {
    applies: ({ grant_types }) => Array.isArray(grant_types) && grant_types.includes('implicit'),
    remedy: 'grant_types has implicit, which is not served (RFC 9700 §2.1.2); use authorization_code with PKCE, and remove it',
  },
  {
    applies: ({ accessTokenLifetime }) => isLongAccessToken(accessTokenLifetime),
    remedy: `accessTokenLifetime is in seconds, and more than ${longAccessToken / day} days; if milliseconds were meant, use a thousandth`,
  },
]

/** One line for each kind of suspicious value among the clients, with some of their names. */
export function suspiciousClients(clients: readonly Members[]): readonly string[] {
  return suspicions.flatMap(({ applies, remedy }) => {
    const names = clients.filter(applies).map(({ client_id }) => `"${String(client_id)}"`)
    const [first] = names
    if (first === undefined) return []
    return [names.length === 1 ? `client ${first}: ${remedy}` : `clients ${namesOf(names)}: ${remedy}`]
  })
}

function namesOf(names: readonly string[]): string {
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
}

function isLongAccessToken(lifetime: unknown): lifetime is number {
  return typeof lifetime === 'number' && lifetime > longAccessToken
}

/** The same for the lifetimes of a server. */
export function suspiciousLifetimes(
  lifetimes: Readonly<Record<'accessTokenLifetime' | 'refreshTokenLifetime' | 'refreshTokenIdleLifetime', unknown>>,
): readonly string[] {
  const { accessTokenLifetime, ...others } = lifetimes
  const long = Object.entries(others).filter((entry): entry is [string, number] => typeof entry[1] === 'number' && entry[1] > longRefresh)
  if (isLongAccessToken(accessTokenLifetime)) long.unshift(['accessTokenLifetime', accessTokenLifetime])
  return long.map(
    ([name, seconds]) =>
      `${name} is ${seconds} seconds, which are ${Math.floor(seconds / day)} days; if milliseconds were meant, use ${Math.floor(seconds / 1000)}`,
  )
}
