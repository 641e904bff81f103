/**
 * A small model of what the endpoints promise, written from BEHAVIOUR's rows G1 to G5, G15, N2 and N6 and from nothing else: no
 * records, no versions, no hashes; only who holds what, and until when.
 */

export interface Times {
  readonly codeLifetime: number
  readonly accessTokenLifetime: number
  readonly idleLifetime: number
  readonly absoluteLifetime: number
  /** How long a retry is answered, tolerance for clocks included. 0: strict. */
  readonly retryWindow: number
}

export type Verdict = 'ok' | 'same answer' | 'invalid_grant' | 'invalid_scope'

interface ModelToken {
  readonly name: string
  readonly until: number
}

export interface ModelFamily {
  readonly client: string
  readonly scope: readonly string[]
  readonly begun: number
  code: 'fresh' | 'used' | 'burnt'
  isRevoked: boolean
  accessTokens: ModelToken[]
  /** Refresh tokens by generation; the last is the head. */
  readonly generations: string[]
  headUntil: number
  /** Nothing of it lives longer than this; never goes down. */
  end: number
  rotatedAt: number
  /** The names of the answer to the last rotation, and what it was asked for. */
  lastAnswer: { readonly access: string; readonly scope: string } | undefined
}

/** What a request presents to redeem a code. */
export interface Redemption {
  readonly client: string
  readonly rightVerifier: boolean
  readonly rightRedirectUri: boolean
}

export class ReferenceModel {
  now: number
  readonly times: Times
  readonly families: ModelFamily[] = []

  constructor(now: number, times: Times) {
    this.now = now
    this.times = times
  }

  issueCode(client: string, scope: readonly string[]): void {
    this.families.push({
      client,
      scope,
      begun: this.now,
      code: 'fresh',
      isRevoked: false,
      accessTokens: [],
      generations: [],
      headUntil: 0,
      end: this.now + this.times.codeLifetime,
      rotatedAt: 0,
      lastAnswer: undefined,
    })
  }

  redeem(family: ModelFamily, { client, rightVerifier, rightRedirectUri }: Redemption): Verdict {
    if (family.client !== client || !rightRedirectUri || family.isRevoked) return 'invalid_grant'
    const isOver = this.now >= (family.code === 'fresh' ? family.begun + this.times.codeLifetime : family.end)
    if (isOver || family.code === 'burnt') return 'invalid_grant'
    if (family.code === 'used') {
      if (rightVerifier) this.#end(family)
      return 'invalid_grant'
    }
    family.code = rightVerifier ? 'used' : 'burnt'
    return rightVerifier ? 'ok' : 'invalid_grant'
  }

  /** What a refresh with the token of that generation is answered. */
  refresh(family: ModelFamily, generation: number, client: string, scope: readonly string[] | undefined): Verdict {
    const head = family.generations.length - 1
    if (family.client !== client || family.isRevoked || this.now >= family.end) return 'invalid_grant'
    const isRetry = generation === head - 1 && this.now < family.rotatedAt + this.times.retryWindow && this.times.retryWindow > 0
    if (generation !== head && !isRetry) {
      this.#end(family)
      return 'invalid_grant'
    }
    // What is spent or over has been judged already: its scope does not matter any more.
    if (this.now >= family.headUntil) return 'invalid_grant'
    if (scope !== undefined && !scope.every((token) => family.scope.includes(token))) return 'invalid_scope'
    if (generation === head) return 'ok'
    const { access, scope: answered } = family.lastAnswer ?? { access: '', scope: '' }
    const isAlive = family.accessTokens.some(({ name, until }) => name === access && this.now < until)
    return isAlive && answered === (scope ?? family.scope).join(' ') ? 'same answer' : 'ok'
  }

  /** Notes the tokens of an answer. A refresh token that is known already is no new generation. */
  noteTokens(family: ModelFamily, access: string, refresh: string, scope: string): void {
    const until = this.now + this.times.accessTokenLifetime
    family.accessTokens.push({ name: access, until })
    family.end = Math.max(family.end, until)
    if (family.generations.includes(refresh)) return
    family.generations.push(refresh)
    family.headUntil = Math.min(this.now + this.times.idleLifetime, family.begun + this.times.absoluteLifetime)
    family.end = Math.max(family.end, family.headUntil)
    family.rotatedAt = this.now
    family.lastAnswer = { access, scope }
  }

  revokeRefreshToken(family: ModelFamily, client: string): void {
    if (family.client === client) this.#end(family)
  }

  revokeAccessToken(family: ModelFamily, name: string, client: string): void {
    if (family.client === client) family.accessTokens = family.accessTokens.filter((token) => token.name !== name)
  }

  /** What may still be used in some way: of one client, or of all. */
  liveFamilies(client: string | undefined): ModelFamily[] {
    return this.families.filter((family) => family.client === (client ?? family.client) && !family.isRevoked && this.now < family.end)
  }

  /** Ends all that is live, of one client or of all, and says how many. */
  revokeFamilies(client: string | undefined): number {
    const live = this.liveFamilies(client)
    for (const family of live) this.#end(family)
    return live.length
  }

  isAccessTokenActive(family: ModelFamily, name: string): boolean {
    return family.accessTokens.some((token) => token.name === name && this.now < token.until)
  }

  isRefreshTokenActive(family: ModelFamily, name: string): boolean {
    return !family.isRevoked && family.generations.at(-1) === name && this.now < family.headUntil
  }

  #end(family: ModelFamily): void {
    family.isRevoked = true
    family.accessTokens = []
  }
}
