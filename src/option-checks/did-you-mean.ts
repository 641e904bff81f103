/** The name that is meant by one that does not exist: the nearest one, or the one that other libraries and other languages have for the same thing. */

/** Names that people write, and the names that are meant. Each counts only where it is among the candidates. */
const meant: ReadonlyMap<string, readonly string[]> = new Map([
  ['id', ['client_id']],
  ['key', ['client_id', 'keys']],
  ['secret', ['client_secret', 'secrets']],
  ['hash', ['secrets']],
  ['name', ['client_name']],
  ['title', ['client_name']],
  ['logo', ['logo_uri']],
  ['icon', ['logo_uri']],
  ['homepage', ['client_uri']],
  ['website', ['client_uri']],
  ['url', ['client_uri', 'issuer']],
  ['privacy', ['policy_uri']],
  ['terms', ['tos_uri']],
  ['callback', ['redirect_uris', 'callbacks']],
  ['callbackurl', ['redirect_uris', 'callbacks']],
  ['callbacks', ['redirect_uris']],
  ['redirects', ['redirect_uris']],
  ['grants', ['grant_types']],
  ['authmethod', ['token_endpoint_auth_method']],
  ['pkce', ['require_pkce']],
  ['metadata', ['extra']],
  ['baseurl', ['issuer']],
  ['host', ['issuer', 'origin']],
  ['login', ['authorize']],
  ['decide', ['authorize']],
  ['database', ['store']],
  ['db', ['store']],
  ['storage', ['store']],
  ['model', ['store']],
  ['pool', ['store']],
  ['logger', ['onEvent']],
  ['log', ['onEvent']],
  ['onerror', ['onEvent']],
  ['ttl', ['accessTokenLifetime', 'lifetime']],
  ['expiresin', ['accessTokenLifetime', 'lifetime']],
  ['format', ['accessTokens']],
  ['tokenformat', ['accessTokens']],
  ['lifetime', ['accessTokenLifetime']],
  ['user', ['subject']],
  ['userid', ['subject']],
  ['sub', ['subject']],
  ['aud', ['audience']],
  ['iss', ['issuer']],
  ['alg', ['algorithm']],
  ['dynamicregistration', ['registration']],
  ['path', ['mountPath']],
  ['basepath', ['mountPath']],
  ['insecure', ['allowInsecureTransport']],
  ['http', ['allowInsecureTransport']],
  ['origin', ['origins']],
  ['ratelimit', ['failedAuthenticationLimit']],
  ['verify', ['authenticate']],
])

/** `; did you mean "…"?` where one of the candidates is near, or is known under that name; else nothing. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const known = meant.get(plain(word))?.find((name) => candidates.includes(name))
  const nearest = nearestOf(word, candidates)
  if (nearest !== undefined && (known === undefined || nearest.distance === 0)) return `; did you mean "${nearest.candidate}"?`
  return known === undefined ? '' : `; did you mean "${known}"?`
}

function nearestOf(word: string, candidates: readonly string[]): { candidate: string; distance: number } | undefined {
  const [nearest] = candidates
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance)
  return nearest !== undefined && nearest.distance <= Math.max(1, Math.floor(word.length / 3)) ? nearest : undefined
}

function plain(text: string): string {
  return text.toLowerCase().replaceAll(/[_-]/g, '')
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
