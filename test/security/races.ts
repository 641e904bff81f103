/**
 * Races for one credential: many requests at once, over any number of servers that share a store.
 *
 * Each function runs one race and returns what was wrong with its outcome, in words; an empty list is a pass. What stands behind
 * a contestant (an options object, a worker process, another machine) and behind its store is the caller's choice.
 */
import { InvalidGrant, authorizationCode, memoryStore, refreshToken, type Grant, type ServerOptions, type Store } from '../../src/index.js'
import { basic, exchange, machine, redirect_uri, testServer, web, type Form, type JsonResponse } from '../support/server.js'

type Answer = Pick<JsonResponse, 'status' | 'json'>

/** One server, as far as a race needs it. */
export interface Contestant {
  token(form: Form, headers?: Record<string, string>): Promise<Answer>
  introspect(form: Form, headers?: Record<string, string>): Promise<Answer>
  /** A new code for the client `web`, for the redirect_uri and the challenge of the test server. */
  code(): Promise<string>
}

/** The servers of one race. Requests are dealt to them in turn. */
export type Fleet = readonly [Contestant, ...Contestant[]]

export type StoreFactory = () => Store | Promise<Store>

const ticketGrantType = 'urn:example:ticket'

/** A grant whose ticket is good once. */
export const ticketGrant: Grant = {
  type: ticketGrantType,
  async authorize({ parameters, now, claimOnce }) {
    if (!(await claimOnce('ticket', parameters.ticket ?? '', now + 60))) throw new InvalidGrant()
    return { subject: 'alice', refreshable: false }
  },
}

const rival = { ...web, client_id: 'rival', client_secret: 'rival-secret-0123456789abcdef' }

/** Options objects over one store: each has a ledger and a queue of its own, as processes have. */
export async function fleetOver(makeStore: StoreFactory, count: number, options: ServerOptions = {}): Promise<Fleet> {
  const store = await makeStore()
  const shared = {
    store,
    // A hundred requests that wait for each other take their time; a machine with other work, more.
    storeTimeout: 60_000,
    clients: [web, rival, { ...machine, grant_types: [ticketGrantType] }],
    grants: [authorizationCode(), refreshToken(), ticketGrant],
    ...options,
  }
  const others = Array.from({ length: count - 1 }, () => testServer({ ...shared }))
  return [testServer({ ...shared }), ...others]
}

/** One code, redeemed `count` times at once by the client it was issued to, with every proof. */
export async function raceForCode(fleet: Fleet, count: number): Promise<string[]> {
  const code = await fleet[0].code()
  const answers = await all(fleet, count, (server) => server.token(exchange(code), basic(web)))
  return [
    ...oneWinner(answers),
    ...(await nothingIsActive(fleet, answers)),
    ...expectRefused('the code once more', await fleet[0].token(exchange(code), basic(web))),
  ]
}

/** One code, redeemed once by its client while others who saw it try as well: they cannot win, and cannot spoil it. */
export async function raceWithStrangers(fleet: Fleet, count: number): Promise<string[]> {
  const code = await fleet[0].code()
  const owner = Math.floor(count / 2)
  const answers = await all(fleet, count, (server, position) => {
    if (position === owner) return server.token(exchange(code), basic(web))
    if (position % 2 === 0) return server.token(exchange(code), basic(rival))
    return server.token({ ...exchange(code), redirect_uri: `${redirect_uri}/other` }, basic(web))
  })
  const winner = answers[owner]
  return [...oneWinner(answers), ...(winner?.status === 200 ? await isUsable(fleet, winner) : ['the owner did not win'])]
}

/** One refresh token, used `count` times at once, with `refreshRetryWindow: 0`: one success, and the family ends. */
export async function raceForRefreshStrictly(fleet: Fleet, count: number): Promise<string[]> {
  const { refresh_token } = await firstTokens(fleet)
  const answers = await all(fleet, count, (server) => server.token(refreshForm(refresh_token), basic(web)))
  return [...oneWinner(answers), ...(await nothingIsActive(fleet, answers))]
}

/** The same with a retry window: everybody gets the same answer, and there is one head. */
export async function raceForRefresh(fleet: Fleet, count: number): Promise<string[]> {
  const { refresh_token } = await firstTokens(fleet)
  const answers = await all(fleet, count, (server) => server.token(refreshForm(refresh_token), basic(web)))
  const [first] = answers
  return [
    ...answers.filter(({ status }) => status !== 200).map(({ status, json }) => `answered ${status} ${String(json.error)}, not 200`),
    ...differing('successors', answers.map(({ json }) => json.refresh_token)), // prettier-ignore
    ...differing('access tokens', answers.map(({ json }) => json.access_token)), // prettier-ignore
    ...(first === undefined ? ['no answer'] : await isUsable(fleet, first)),
  ]
}

/** One value of `claimOnce`, claimed `count` times at once: one passes. */
export async function raceForTicket(fleet: Fleet, count: number, ticket: string): Promise<string[]> {
  const answers = await all(fleet, count, (server) => server.token({ grant_type: ticketGrantType, ticket }, basic(machine)))
  return oneWinner(answers)
}

/** Runs a race `rounds` times over fresh fleets and returns everything that was wrong. */
export async function repeated(rounds: number, makeFleet: () => Promise<Fleet>, race: (fleet: Fleet, round: number) => Promise<string[]>) {
  const wrong: string[] = []
  for (let round = 0; round < rounds; round++) wrong.push(...(await race(await makeFleet(), round)))
  return wrong
}

export const freshMemoryStore: StoreFactory = () => memoryStore()

function refreshForm(refresh_token: string): Record<string, string> {
  return { grant_type: 'refresh_token', refresh_token }
}

async function firstTokens(fleet: Fleet): Promise<{ refresh_token: string }> {
  const { status, json } = await fleet[0].token(exchange(await fleet[0].code()), basic(web))
  if (status !== 200 || json.refresh_token === undefined) throw new Error('the code exchange before the race failed')
  return { refresh_token: json.refresh_token }
}

function all(fleet: Fleet, count: number, request: (server: Contestant, position: number) => Promise<Answer>): Promise<Answer[]> {
  return Promise.all(Array.from({ length: count }, (_, position) => request(fleet[position % fleet.length] ?? fleet[0], position)))
}

function oneWinner(answers: readonly Answer[]): string[] {
  const winners = answers.filter(({ status }) => status === 200).length
  const losers = answers.filter(({ status }) => status !== 200)
  return [...(winners === 1 ? [] : [`${winners} successes, not 1`]), ...losers.flatMap((answer) => expectRefused('a loser', answer))]
}

function expectRefused(what: string, { status, json }: Answer): string[] {
  return status === 400 && json.error === 'invalid_grant' ? [] : [`${what} was answered ${status} ${String(json.error)}, not invalid_grant`]
}

async function nothingIsActive(fleet: Fleet, answers: readonly Answer[]): Promise<string[]> {
  const wrong: string[] = []
  for (const { json } of answers.filter(({ status }) => status === 200)) {
    for (const token of [json.access_token, json.refresh_token]) {
      const { json: description } = await fleet[0].introspect({ token: token ?? '' }, basic(web))
      if (description.active !== false) wrong.push('a token is active after a replay with every proof')
    }
    wrong.push(...expectRefused('the refresh token', await fleet[0].token(refreshForm(json.refresh_token ?? ''), basic(web))))
  }
  return wrong
}

async function isUsable(fleet: Fleet, { json }: Answer): Promise<string[]> {
  const { json: description } = await fleet[0].introspect({ token: json.access_token ?? '' }, basic(web))
  const { status } = await fleet[0].token(refreshForm(json.refresh_token ?? ''), basic(web))
  return [
    ...(description.active === true ? [] : ['the access token handed out is not active']),
    ...(status === 200 ? [] : ['the refresh token handed out is refused']),
  ]
}

function differing(what: string, texts: readonly (string | undefined)[]): string[] {
  const count = new Set(texts).size
  return count === 1 ? [] : [`${count} different ${what}, not 1`]
}
