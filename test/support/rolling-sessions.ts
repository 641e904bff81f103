/**
 * Sessions over a fleet of several versions. Each request of a session goes to the next process: the code is made by one, exchanged at another, refreshed at
 * a third. What a client does not expect is a fault, told with the process that answered.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { code_challenge, code_verifier } from './server.js'
import { formats } from './rolling-settings.js'
import type { Answer, Fleet, Member } from './rolling.js'

export const redirect_uri = 'https://client.example/callback'
export const web = {
  client_id: 'web',
  client_secret: 'web-secret-0123456789abcdef',
  grant_types: ['authorization_code', 'refresh_token', 'urn:example:ticket'],
  redirect_uris: [redirect_uri],
}
export const native = {
  client_id: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  redirect_uris: [redirect_uri],
}
export const machine = { client_id: 'machine', client_secret: 'machine-secret-0123456789ab', grant_types: ['client_credentials'] }
export const inspector = { client_id: 'inspector', client_secret: 'inspector-secret-0123456789', grant_types: [], introspect: true }

/** What the sessions did and saw. */
export interface Report {
  sessions: number
  refreshes: number
  retries: number
  checks: number
  revocations: number
  readonly lost: string[]
  readonly faults: string[]
}

export const newReport = (): Report => ({ sessions: 0, refreshes: 0, retries: 0, checks: 0, revocations: 0, lost: [], faults: [] })

type Known = typeof web | typeof native

export const secretOf = (client: { readonly client_id: string; readonly client_secret?: string }) =>
  client.client_secret === undefined
    ? { client_id: client.client_id }
    : { client_id: client.client_id, client_secret: client.client_secret }

export const codeOf = async (member: Member, host: string, client_id: string, subject: string, scope = 'read write') =>
  (await member.perform(host, { name: 'code', request: { client_id, redirect_uri, subject, scope, code_challenge, code_challenge_method: 'S256' } })).members.code ?? '' // prettier-ignore

export const exchange = (member: Member, host: string, client: { client_id: string; client_secret?: string }, code: string, more = {}) =>
  member.send(host, '/oauth2/token', {
    form: { grant_type: 'authorization_code', code, redirect_uri, code_verifier, ...secretOf(client), ...more },
  })

export const refresh = (member: Member, host: string, client: { client_id: string; client_secret?: string }, refresh_token = '') =>
  member.send(host, '/oauth2/token', { form: { grant_type: 'refresh_token', refresh_token, ...secretOf(client) } })

export const isActive = async (member: Member, host: string, token = '') =>
  (await member.send(host, '/oauth2/introspect', { form: { token, ...secretOf(inspector) } })).members.active as unknown

export const guarded = async (member: Member, host: string, token = '') =>
  (await member.send(host, '/api', { headers: { authorization: `Bearer ${token}` } })).status

export interface Sessions {
  stop(): Promise<void>
}

/** Starts sessions, as many as `parallel` at a time, and begins a new one where one is over. */
export function startSessions(fleet: Fleet, hosts: readonly string[], parallel: number, report: Report): Sessions {
  let isOver = false
  let count = 0
  async function client(): Promise<void> {
    while (!isOver) {
      const number = count++
      const host = hosts[number % hosts.length] ?? ''
      await new Session(fleet, host, number, report).live(() => isOver)
    }
  }
  const done = Promise.all(Array.from({ length: parallel }, client))
  return {
    async stop() {
      isOver = true
      await done
    },
  }
}

class Session {
  readonly #fleet: Fleet
  readonly #host: string
  readonly #number: number
  readonly #report: Report
  readonly #client: Known
  #tokens: Answer['members'] = {}

  constructor(fleet: Fleet, host: string, number: number, report: Report) {
    this.#fleet = fleet
    this.#host = host
    this.#number = number
    this.#report = report
    this.#client = number % 3 === 0 ? native : web
  }

  async live(isOver: () => boolean): Promise<void> {
    const [maker, exchanger] = [this.#fleet.next(), this.#fleet.next()]
    this.#report.sessions++
    const answer = await exchange(
      exchanger,
      this.#host,
      this.#client,
      await codeOf(maker, this.#host, this.#client.client_id, `subject-${this.#number}`),
    )
    if (!this.#took(answer, `code of ${maker.name} exchanged at ${exchanger.name}`)) return
    for (let step = 0; step < 8 || !isOver(); step++) {
      if (step === 12) break
      if (!(await this.#step(step + this.#number))) return
      await delay(10)
    }
    await this.#end()
  }

  /** False where the session is lost. */
  #took(answer: Answer, what: string): boolean {
    if (answer.status === 200) {
      this.#tokens = answer.members
      return true
    }
    this.#report.lost.push(`${this.#host} ${what}: ${answer.status} ${answer.body}`)
    return false
  }

  async #step(step: number): Promise<boolean> {
    const { refresh_token } = this.#tokens
    switch (step % 4) {
      case 0:
        return this.#refresh()
      case 1: {
        // The answer is lost on its way, and the client asks again.
        const [first, second] = [this.#fleet.next(), this.#fleet.next()]
        await refresh(first, this.#host, this.#client, refresh_token)
        this.#report.retries++
        return this.#took(
          await refresh(second, this.#host, this.#client, refresh_token),
          `refresh at ${first.name}, again at ${second.name}`,
        )
      }
      case 2: {
        // Two tabs of one application refresh at once.
        const [first, second] = [this.#fleet.next(), this.#fleet.next()]
        const [one, other] = await Promise.all([first, second].map((member) => refresh(member, this.#host, this.#client, refresh_token)))
        this.#report.retries++
        if (one === undefined || other === undefined) return false
        const what = `refresh at ${first.name} and ${second.name} at once`
        if (!this.#took(one, what) || !this.#took(other, what)) return false
        if (one.members.refresh_token !== other.members.refresh_token) this.#fault(`${what}: two successors`)
        return true
      }
      default:
        await this.#expectLife(true)
        return true
    }
  }

  async #refresh(): Promise<boolean> {
    const member = this.#fleet.next()
    this.#report.refreshes++
    return this.#took(await refresh(member, this.#host, this.#client, this.#tokens.refresh_token), `refresh at ${member.name}`)
  }

  /** Every process says the same of the access token. */
  async #expectLife(isAlive: boolean): Promise<void> {
    for (const member of new Set([this.#fleet.next(), this.#fleet.next()])) {
      this.#report.checks++
      const { access_token } = this.#tokens
      const active = await isActive(member, this.#host, access_token)
      if (active !== isAlive) this.#fault(`introspection at ${member.name}: active is ${String(active)}`)
      const status = await guarded(member, this.#host, access_token)
      if (status !== (isAlive ? 200 : 401))
        this.#fault(`guard at ${member.name}: ${status} for a token that is ${isAlive ? '' : 'in'}active`)
    }
  }

  /** Ends in one of four ways; afterwards nothing of it works at any process. */
  async #end(): Promise<void> {
    const before = this.#tokens.refresh_token
    if (!(await this.#refresh())) return
    const after = this.#tokens.refresh_token
    const member = this.#fleet.next()
    const revoked = (token = '') => member.send(this.#host, '/oauth2/revoke', { form: { token, ...secretOf(this.#client) } })
    switch (this.#number % 4) {
      case 0: {
        if (!(await this.#refresh())) return
        const answer = await refresh(member, this.#host, this.#client, before)
        if (answer.status !== 400) this.#fault(`replay at ${member.name}: ${answer.status}`)
        break
      }
      case 1:
        if ((await revoked(after)).status !== 200) this.#fault(`revocation at ${member.name}`)
        break
      case 2:
        if ((await member.perform(this.#host, { name: 'revoke', subject: `subject-${this.#number}` })).status !== 200) this.#fault(`revocation of the subject at ${member.name}`) // prettier-ignore
        break
      default: {
        await revoked(this.#tokens.access_token)
        await this.#expectLife(false)
        if (!(await this.#refresh())) return
        await this.#expectLife(true)
        await revoked(this.#tokens.refresh_token)
      }
    }
    this.#report.revocations++
    await this.#expectLife(false)
    for (const other of new Set([this.#fleet.next(), this.#fleet.next()])) {
      const answer = await refresh(other, this.#host, this.#client, this.#tokens.refresh_token)
      if (answer.status !== 400) this.#fault(`refresh at ${other.name} after the end: ${answer.status}`)
    }
  }

  #fault(what: string): void {
    this.#report.faults.push(`${this.#host} session ${this.#number}: ${what}`)
  }
}

export const hostsOf = (kinds: readonly string[]) => kinds.flatMap((kind) => formats.map((format) => `${format}.${kind}.example`))
