/** What stands where something else is expected, and the remedy: a factory that was not called, its name, a promise, a pool, a client of a database. */

/** How each factory is called. */
const calls: Readonly<Partial<Record<string, string>>> = {
  jwt: 'jwt({ key })',
  encrypted: 'encrypted({ key })',
  opaque: 'opaque()',
  authorizationCode: 'authorizationCode()',
  refreshToken: 'refreshToken()',
  clientCredentials: 'clientCredentials()',
  password: 'password({ authenticate })',
  oauth1TokenGrant: 'oauth1TokenGrant(oauth1)',
  webApplication: 'webApplication()',
  legacyApplication: 'legacyApplication({ authenticate })',
  backendApplication: 'backendApplication()',
  clientSecretBasic: 'clientSecretBasic()',
  clientSecretPost: 'clientSecretPost()',
  none: 'none()',
  memoryStore: 'memoryStore()',
  postgresStore: 'postgresStore(pool)',
  sqliteStore: 'sqliteStore(database)',
  redisStore: 'redisStore({ sendCommand })',
}

/** The factory behind a name of the protocol, or behind a name that people write for it. */
const factories: Readonly<Partial<Record<string, string>>> = {
  authorization_code: 'authorizationCode',
  refresh_token: 'refreshToken',
  client_credentials: 'clientCredentials',
  client_secret_basic: 'clientSecretBasic',
  client_secret_post: 'clientSecretPost',
  memory: 'memoryStore',
  postgres: 'postgresStore',
  sqlite: 'sqliteStore',
  redis: 'redisStore',
  jwe: 'encrypted',
}

/** `; ` and the remedy; nothing where nothing is known. The value itself is never told: it may be a secret. */
export function valueAdvice(value: unknown): string {
  if (typeof value === 'function') return `; ${functionAdvice(value.name)}`
  if (typeof value === 'string') return nameAdvice(value)
  if (typeof value !== 'object' || value === null) return ''
  if (has(value, 'then')) return '; it is a promise: await it'
  const known = databases.find(([verbs]) => verbs.every((verb) => has(value, verb)))
  return known === undefined ? '' : `; ${known[1]}`
}

/** The remedy for something that has to be called. */
export function functionAdvice(name: string): string {
  const call = calls[name]
  return call === undefined ? 'it is a function: call it' : `it is the function ${name} itself; call it: ${call}`
}

function nameAdvice(value: string): string {
  const call = calls[factories[value] ?? value]
  return call === undefined ? '' : `; it is a name; import the function and call it: ${call}`
}

/** By the functions that a client of a database has. */
const databases: readonly (readonly [verbs: readonly string[], remedy: string])[] = [
  [['query', 'connect'], 'it is a client or pool of PostgreSQL: store: postgresStore(pool)'],
  [['prepare', 'exec'], 'it is a database of SQLite: store: sqliteStore(database)'],
  [['sendCommand'], 'it is a client of Redis: store: redisStore({ sendCommand: (args) => client.sendCommand([...args]) })'],
  [['call', 'hset'], 'it is a client of Redis: store: redisStore({ sendCommand: (args) => client.call(...args) })'],
  [['getConnection'], 'it is a pool of MySQL: docs/ has a store for it'],
]

/** Whether a value has a function of that name, whatever it is. */
export function has(value: unknown, verb: string): boolean {
  return typeof value === 'object' && value !== null && typeof (value as Readonly<Partial<Record<string, unknown>>>)[verb] === 'function'
}
