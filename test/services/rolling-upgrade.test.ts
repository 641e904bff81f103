/**
 * Version 0.1.0 and today's, each in processes of its own, over the same table of PostgreSQL, the same prefix of Redis and the same file of SQLite: what one
 * has issued, the other goes on with, and what one has ended, has ended at the other.
 */
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { patience } from '../security/sizes.js'
import { builtEntries, version010, whyMissing, type Entries } from '../support/earlier-version.js'
import { Fleet, newCounts, newKeys, startMember, type Answer, type Member, type Sent } from '../support/rolling.js'
import { codeOf, exchange, guarded, hostsOf, inspector, isActive, machine, native, newReport, redirect_uri, refresh, secretOf, startSessions, web } from '../support/rolling-sessions.js' // prettier-ignore
import { oauth1Client, type RollingSettings } from '../support/rolling-settings.js'
import { code_challenge } from '../support/server.js'
import { openPostgres, openRedis, openSqlite } from '../support/services.js'
import { signed } from '../upgrade/sign.js'

jest.setTimeout(patience)

const unreachable = process.env.SKIPPED_SERVICES ?? ''
const skipped = whyMissing(version010) ?? (unreachable === '' ? undefined : `cannot be reached: ${unreachable}`)
const declare = skipped === undefined ? describe : describe.skip

declare(`0.1.0 and this version at the same time${skipped === undefined ? '' : ` (skipped: ${skipped})`}`, () => {
  const counts = newCounts()
  const started: Member[] = []
  let entries: Entries
  let settings: RollingSettings
  let places: { close(): Promise<void> }[]
  let [old, secondOld, current] = [] as unknown as [Member, Member, Member]
  let hosts: readonly string[]

  async function start(name: '0.1.0' | 'today', own: Partial<RollingSettings> = {}, ownCounts = counts): Promise<Member> {
    const member = await startMember(name, { ...settings, ...(name === '0.1.0' ? { entries } : {}), ...own }, ownCounts)
    started.push(member)
    return member
  }

  beforeAll(async () => {
    entries = builtEntries(version010)
    const opened = [await openPostgres(), await openRedis(), await openSqlite()] as const
    places = [...opened]
    settings = { addresses: opened.map(({ address }) => address), ...newKeys() }
    hosts = hostsOf(opened.map(({ address }) => address.kind))
    ;[old, secondOld, current] = await Promise.all([start('0.1.0'), start('0.1.0'), start('today')])
    for (const host of hosts) {
      // Each version saves clients that the other has to find.
      for (const client of [web, machine]) await old.perform(host, { name: 'save client', client })
      for (const client of [native, inspector]) await current.perform(host, { name: 'save client', client })
    }
  }, 120_000)

  afterAll(async () => {
    await Promise.all(started.map((member) => member.stop()))
    for (const place of places) await place.close()
  })

  /** The one, then the other: what is begun at the first goes on at the second. */
  const bothWays = (): [Member, Member][] => [[old, current], [current, old]] // prettier-ignore

  /** How many of some requests that are sent at once succeed, where the others must be refused with that status. */
  async function successes(asked: readonly Promise<Answer>[], refusal: number): Promise<number> {
    const statuses = (await Promise.all(asked)).map(({ status }) => status)
    expect(statuses.filter((status) => status !== 200 && status !== refusal)).toEqual([])
    return statuses.filter((status) => status === 200).length
  }

  /** How many successes each of some codes gave that were sent to both at once. */
  async function redeemedAtBoth(members: readonly [Member, Member], host: string, codes: number): Promise<number[]> {
    const race = async (round: number) => {
      const code = await codeOf(old, host, 'web', 'racer')
      const [one, other] = round % 2 === 0 ? members : [members[1], members[0]]
      return successes([one, other, one, other].map((member) => exchange(member, host, web, code)), 400) // prettier-ignore
    }
    return Promise.all(Array.from({ length: codes }, (_, round) => race(round)))
  }

  /** One in each place, each with another format of access tokens. */
  const someHosts = () => hosts.filter((_, index) => index % 4 === 0)

  test('FAULTS upgrade: they are two versions', () => {
    expect(old.ready.names).not.toContain('issueTokens')
    expect(current.ready.names).toContain('issueTokens')
  })

  test('FAULTS upgrade: process by process there and back, under load: no session is lost, nobody gets a 503, and what has ended has ended everywhere', async () => {
    const fleet = new Fleet()
    const report = newReport()
    fleet.become(old, secondOld)
    const sessions = startSessions(fleet, hosts, 9, report)
    await delay(1500)
    fleet.become(current, old)
    await delay(4500)
    fleet.become(current)
    await delay(1000)
    fleet.become(secondOld, current)
    await delay(1500)
    await sessions.stop()
    expect(report).toMatchObject({ lost: [], faults: [] })
    expect([...counts.failures]).toEqual([])
    expect(report.sessions).toBeGreaterThan(9)
    expect(report.refreshes).toBeGreaterThan(30)
  })

  test('FAULTS upgrade: a code that both redeem at once gives one success, and what it gave is the same to both', async () => {
    for (const host of hosts) expect(await redeemedAtBoth([old, current], host, 3)).toEqual([1, 1, 1])
  })

  test('FAULTS upgrade: a code that one has redeemed is refused by the other, and its tokens end', async () => {
    for (const host of someHosts()) {
      for (const [one, other] of bothWays()) {
        const code = await codeOf(one, host, 'web', 'alice')
        const { members } = await exchange(one, host, web, code)
        expect(await isActive(other, host, members.access_token)).toBe(true)
        expect((await exchange(other, host, web, code)).status).toBe(400)
        expect(await isActive(one, host, members.access_token)).toBe(false)
        expect((await refresh(one, host, web, members.refresh_token)).status).toBe(400)
      }
    }
  })

  test('FAULTS upgrade: a ticket that both are shown at once is good for one', async () => {
    for (const host of someHosts()) {
      for (let round = 0; round < 5; round++) {
        const form = { grant_type: 'urn:example:ticket', ticket: `ticket ${round}`, ...secretOf(web) }
        const asked = [old, current, old, current].map((member) => member.send(host, '/oauth2/token', { form }))
        expect(await successes(asked, 400)).toBe(1)
      }
    }
  })

  test('FAULTS upgrade: a machine: the token of one is good at the other, until one revokes it', async () => {
    for (const host of hosts) {
      for (const [one, other] of bothWays()) {
        const { members } = await one.send(host, '/oauth2/token', { form: { grant_type: 'client_credentials', ...secretOf(machine) } })
        expect(await guarded(other, host, members.access_token)).toBe(200)
        await other.send(host, '/oauth2/revoke', { form: { token: members.access_token ?? '', ...secretOf(machine) } })
        expect([await guarded(one, host, members.access_token), await isActive(one, host, members.access_token)]).toEqual([401, false])
      }
    }
  })

  test('FAULTS upgrade: offline_access, which this version grants: 0.1.0 goes on with the session, and so does this version after it', async () => {
    const [host = ''] = hosts
    const code = await codeOf(current, host, 'web', 'alice', 'read offline_access')
    let answer = await exchange(current, host, web, code)
    for (const member of [old, current, old, old, current]) {
      answer = await refresh(member, host, web, answer.members.refresh_token)
      expect([member.name, answer.status]).toEqual([member.name, 200])
    }
  })

  test('FAULTS upgrade: clients that one saves, changes and deletes are so at the other', async () => {
    for (const host of someHosts()) {
      for (const [index, [one, other]] of bothWays().entries()) {
        const client = { ...machine, client_id: `saved-${index}` }
        // 0.1.0 does not know these members, and reads a client that has them.
        const newer = one === current ? { ...client, refreshTokenLifetime: 3600, refreshTokenIdleLifetime: 600 } : client
        const ask = async () => (await other.send(host, '/oauth2/token', { form: { grant_type: 'client_credentials', ...secretOf(client) } })).status // prettier-ignore
        await one.perform(host, { name: 'save client', client: newer })
        expect(await ask()).toBe(200)
        await one.perform(host, { name: 'save client', client: { ...newer, disabled: true } })
        expect(await ask()).toBe(401)
        await other.perform(host, { name: 'save client', client })
        expect(await ask()).toBe(200)
        await one.perform(host, { name: 'delete client', client_id: client.client_id })
        expect(await ask()).toBe(401)
      }
    }
  })

  /** A browser, which keeps the cookie. It asks at one server, and decides at another. */
  async function agree(host: string, asked: Member, decided: Member, parameters: Readonly<Record<string, string>>, page = 'application') {
    const query = new URLSearchParams({
      response_type: 'code',
      scope: 'read',
      code_challenge,
      code_challenge_method: 'S256',
      ...parameters,
    })
    const path = `/oauth2/authorize?${query.toString()}`
    const headers = { 'sec-fetch-site': 'same-origin', 'x-page': page }
    const shown = await asked.send(host, path, { headers })
    const cookie = (shown.headers['set-cookie']?.[0] ?? '').split(';')[0] ?? ''
    const fields = Object.fromEntries([...shown.body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)].map(([, name = '', value = '']) => [name, value])) // prettier-ignore
    const form = { confirmation: shown.body, ...fields, decision: 'allow' }
    const { headers: answered, status } = await decided.send(host, path, { headers: { ...headers, cookie }, form })
    const location = new URL(answered.location ?? '', `https://${host}/oauth2/authorize`)
    return { status, location, code: location.searchParams.get('code') ?? '', shown }
  }

  async function expectSession(host: string, one: Member, other: Member, client: { client_id: string; client_secret?: string }, code: string, more: object) {
    const answer = await exchange(one, host, client, code, more)
    expect([answer.status, answer.body]).toEqual([200, answer.body])
    const next = await refresh(other, host, client, answer.members.refresh_token)
    expect([next.status, next.body]).toEqual([200, next.body])
    expect((await refresh(one, host, client, next.members.refresh_token)).status).toBe(200)
  } // prettier-ignore

  test('FAULTS upgrade: a request that is agreed to at one, pushed there or at the other', async () => {
    for (const host of someHosts()) {
      for (const [one, other] of bothWays()) {
        const { code } = await agree(host, one, one, { client_id: 'web', redirect_uri })
        await expectSession(host, other, one, web, code, {})
        const form = { response_type: 'code', scope: 'read', redirect_uri, code_challenge, code_challenge_method: 'S256', ...secretOf(web) }
        for (const decides of [one, other]) {
          const pushed = await one.send(host, '/oauth2/par', { form })
          expect(pushed.status).toBe(201)
          const request = { client_id: 'web', request_uri: pushed.members.request_uri ?? '' }
          const decision = await agree(host, decides, decides, request)
          await expectSession(host, one, other, web, decision.code, {})
          // The request was used up, at both.
          for (const member of [one, other]) expect((await agree(host, member, member, request)).code).toBe('')
        }
      }
    }
  })

  test('FAULTS upgrade: a page is decided where it was shown: this version shows one of 0.1.0 again, and 0.1.0 gives no code for one of this version', async () => {
    const [host = ''] = hosts
    const request = { client_id: 'web', redirect_uri }
    for (const page of ['package', 'application']) {
      for (const member of [old, current]) expect((await agree(host, member, member, request, page)).code).not.toBe('')
      const again = await agree(host, old, current, request, page)
      expect([again.status, again.location.pathname, again.code]).toEqual([303, '/oauth2/authorize', ''])
      const refused = await agree(host, current, old, request, page)
      expect([refused.status, refused.location.pathname, refused.location.searchParams.get('error')]).toEqual([
        303,
        '/callback',
        'access_denied',
      ])
    }
  })

  const loopback = { redirect_uri: 'http://127.0.0.1/callback' }

  test('FAULTS upgrade: clients that registered themselves at one, and metadata documents', async () => {
    for (const host of someHosts()) {
      for (const [index, [one, other]] of bothWays().entries()) {
        const metadata = { redirect_uris: [loopback.redirect_uri], token_endpoint_auth_method: 'none', grant_types: ['authorization_code', 'refresh_token'], scope: 'read', client_name: 'App', client_uri: 'https://app.example/' }
        const sent: Sent = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(metadata) }
        const registered = await one.send(host, '/oauth2/register', sent)
        expect(registered.status).toBe(201)
        for (const client_id of [registered.members.client_id ?? '', `https://app${index}.example/app.json`]) {
          for (const [first, second] of [[one, other], [other, one]] as const) {
            const { code } = await agree(host, first, first, { client_id, ...loopback })
            await expectSession(host, second, first, { client_id }, code, loopback)
          }
        }
      }
    }
  }) // prettier-ignore

  test('FAULTS upgrade: OAuth 1: credentials of one are agreed to, exchanged, used and revoked at the other, and a nonce is good for one of both', async () => {
    const now = () => Math.floor(Date.now() / 1000)
    for (const host of someHosts()) {
      for (const [one, other] of bothWays()) {
        const ask = (member: Member, path: string, sent: { headers: Readonly<Record<string, string>> }) => member.send(host, path, { method: 'POST', headers: sent.headers }) // prettier-ignore
        const token = ({ members }: Answer) => ({ oauth_token: members.oauth_token ?? '', oauth_token_secret: members.oauth_token_secret ?? '' }) // prettier-ignore
        const callback = { oauth_callback: 'https://client.example/ready' }
        const temporary = token(await ask(one, '/oauth1/initiate', signed(`https://${host}/oauth1/initiate`, oauth1Client, callback, now())))
        const { members } = await other.perform(host, { name: 'agree to OAuth 1', oauth_token: temporary.oauth_token })
        const verifier = { oauth_verifier: members.oauth_verifier ?? '' }
        const answers = await Promise.all(
          [one, other].map((member) =>
            ask(member, '/oauth1/token', signed(`https://${host}/oauth1/token`, { ...oauth1Client, token: temporary }, verifier, now())),
          ),
        )
        expect(answers.map(({ status }) => status).sort()).toEqual([200, 401])
        const credentials = token(answers.find(({ status }) => status === 200) ?? answers[0] ?? { status: 0, headers: {}, body: '', members: {} })
        const use = () => signed(`https://${host}/oauth1/api`, { ...oauth1Client, token: credentials }, {}, now())
        for (const member of [one, other]) expect((await ask(member, '/oauth1/api', use())).status).toBe(200)
        const once = use()
        expect(await successes([one, other, one, other].map((member) => ask(member, '/oauth1/api', once)), 401)).toBe(1)
        await one.perform(host, { name: 'revoke OAuth 1', oauth_token: credentials.oauth_token })
        for (const member of [one, other]) expect((await ask(member, '/oauth1/api', use())).status).toBe(401)
      }
    }
  }) // prettier-ignore

  test('FAULTS upgrade: nobody got a 5xx in all this', () => {
    expect([...counts.failures]).toEqual([])
  })

  test('FAULTS upgrade: a version that writes another format loses sessions, so the tests above can fail', async () => {
    const fleet = new Fleet()
    const report = newReport()
    const before = counts.unavailable
    fleet.become(old, await start('today', { mistake: 'newer format' }, newCounts()))
    const sessions = startSessions(fleet, hosts, 9, report)
    await delay(1500)
    await sessions.stop()
    expect(report.lost.length).toBeGreaterThan(5)
    expect(counts.unavailable - before).toBeGreaterThan(5)
  })

  test('FAULTS upgrade: a version that reads, checks and then writes gives two successes, so the race above can fail', async () => {
    const broken = await start('today', { mistake: 'read, check, write' }, newCounts())
    const results = await Promise.all(hosts.map((host) => redeemedAtBoth([broken, old], host, 10)))
    expect(Math.max(...results.flat())).toBeGreaterThan(1)
  })
})
