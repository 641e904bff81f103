/**
 * Random sequences of requests, of time and of sweeps, over a store and over the reference model at once: they agree at every step.
 *
 * One clock stands behind the server, its store and the model; it only goes on, from one sequence to the next as well. It is never behind the
 * real one, so that a database that drops records by its own clock drops none early.
 */
import { expect } from '@jest/globals'
import fc from 'fast-check'
import { listAuthorizations, revokeAuthorizations, type Store } from '../../src/index.js'
import { basic, code_verifier, redirect_uri, testServer, web, type JsonResponse, type TestServer } from '../support/server.js'
import type { ClockedStore, Clock } from '../support/clocked-stores.js'
import { ReferenceModel, type ModelFamily, type Verdict } from './reference-model.js'

const codeLifetime = 60
const accessTokenLifetime = 300
const clockTolerance = 5
const times = { codeLifetime, accessTokenLifetime, idleLifetime: 200, absoluteLifetime: 700 }

interface Real {
  readonly server: TestServer
  readonly clock: Clock
  /** Whom the codes of this sequence are for: nobody else's, whatever else is in the store. */
  readonly subject: string
  readonly codes: string[]
  /** Deletes what has expired, as a database does sooner or later. */
  sweep(): Promise<unknown>
}

type Command = fc.AsyncCommand<ReferenceModel, Real>

/** A command whose `run` asks both, and compares. Its name is what a failure prints. */
function command(
  name: string,
  check: (model: ReferenceModel) => boolean,
  run: (model: ReferenceModel, real: Real) => Promise<void>,
): Command {
  return { check, run, toString: () => name }
}

function authenticated(client_id: string): { form: Record<string, string>; headers: Record<string, string> } {
  return client_id === 'web' ? { form: {}, headers: basic(web) } : { form: { client_id }, headers: {} }
}

function verdictOf({ status, json }: JsonResponse): string {
  return status === 200 ? 'ok' : (json.error ?? `status ${status}`)
}

function expectVerdict(response: JsonResponse, verdict: Verdict): void {
  expect(verdictOf(response)).toBe(verdict === 'same answer' ? 'ok' : verdict)
}

function noteTokens(model: ReferenceModel, family: ModelFamily, { json }: JsonResponse, scope: readonly string[]): void {
  expect(json.scope).toBe(scope.join(' '))
  model.noteTokens(family, json.access_token ?? '', json.refresh_token ?? '', scope.join(' '))
}

/** The family that a random number stands for. */
function pick(model: ReferenceModel, number: number): { family: ModelFamily; index: number } {
  const index = number % model.families.length
  const family = model.families[index]
  if (family === undefined) throw new Error('there is no family yet')
  return { family, index }
}

const hasFamilies = (model: ReferenceModel) => model.families.length > 0
const client = fc.constantFrom('web', 'native')
const mostlyTrue = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
const scope = fc.constantFrom(['read'], ['read', 'write'], ['write', 'read', 'admin'])

const issueCode = fc.tuple(client, scope).map(([client_id, granted]) =>
  command(`issue a code for ${client_id} with ${granted.join(' ')}`, () => true, async (model, { server, subject, codes }) => {
    codes.push(await server.code({ client_id, subject, scope: granted }))
    model.issueCode(client_id, granted)
  })) // prettier-ignore

const redeem = fc.tuple(fc.nat(), fc.boolean(), mostlyTrue, mostlyTrue, mostlyTrue).map(([number, isNewest, isOwner, rightVerifier, rightRedirectUri]) =>
  command(`redeem ${isNewest ? 'the newest code' : `code ${number}`}, ${JSON.stringify({ isOwner, rightVerifier, rightRedirectUri })}`, hasFamilies, async (model, { server, codes }) => {
    const { family, index } = pick(model, isNewest ? model.families.length - 1 : number)
    const presenter = isOwner ? family.client : other(family.client)
    const { form, headers } = authenticated(presenter)
    const response = await server.token({
      ...form,
      grant_type: 'authorization_code',
      code: codes[index] ?? '',
      redirect_uri: rightRedirectUri ? redirect_uri : `${redirect_uri}/other`,
      code_verifier: rightVerifier ? code_verifier : 'x'.repeat(43),
    }, headers)
    const verdict = model.redeem(family, { client: presenter, rightVerifier, rightRedirectUri })
    expectVerdict(response, verdict)
    if (verdict === 'ok') noteTokens(model, family, response, family.scope)
  })) // prettier-ignore

const refresh = fc.tuple(fc.nat(), fc.nat({ max: 3 }), mostlyTrue, fc.option(scope, { nil: undefined, freq: 3 })).map(([number, age, isOwner, asked]) =>
  command(`refresh family ${number} with the token ${age} below the head${asked ? ` for ${asked.join(' ')}` : ''}, owner: ${String(isOwner)}`, hasFamilies, async (model, { server }) => {
    const { family } = pick(model, number)
    const generation = Math.max(0, family.generations.length - 1 - age)
    const refresh_token = family.generations[generation]
    if (refresh_token === undefined) return
    const presenter = isOwner ? family.client : other(family.client)
    const { form, headers } = authenticated(presenter)
    const response = await server.token({ ...form, grant_type: 'refresh_token', refresh_token, ...(asked === undefined ? {} : { scope: asked.join(' ') }) }, headers)
    const known = family.lastAnswer?.access
    const verdict = model.refresh(family, generation, presenter, asked)
    expectVerdict(response, verdict)
    if (verdict === 'same answer') expect(response.json.access_token).toBe(known)
    if (verdict === 'same answer') expect(response.json.refresh_token).toBe(family.generations.at(-1))
    if (verdict === 'ok') expectSuccessor(family, generation, response)
    if (verdict === 'ok') noteTokens(model, family, response, asked ?? family.scope)
  })) // prettier-ignore

function expectSuccessor(family: ModelFamily, generation: number, { json }: JsonResponse): void {
  const isHead = generation === family.generations.length - 1
  expect(family.generations.indexOf(json.refresh_token ?? '')).toBe(isHead ? -1 : generation + 1)
  expect(family.accessTokens.map(({ name }) => name)).not.toContain(json.access_token)
}

const revoke = fc.tuple(fc.nat(), fc.nat(), fc.boolean(), mostlyTrue).map(([number, which, isRefreshToken, isOwner]) =>
  command(`revoke ${isRefreshToken ? 'a refresh' : 'an access'} token of family ${number}, owner: ${String(isOwner)}`, hasFamilies, async (model, { server }) => {
    const { family } = pick(model, number)
    const names = isRefreshToken ? family.generations : family.accessTokens.map(({ name }) => name)
    const token = names[which % Math.max(1, names.length)]
    if (token === undefined) return
    const presenter = isOwner ? family.client : other(family.client)
    const { form, headers } = authenticated(presenter)
    expect((await server.revoke({ ...form, token }, headers)).status).toBe(200)
    if (isRefreshToken) model.revokeRefreshToken(family, presenter)
    else model.revokeAccessToken(family, token, presenter)
  })) // prettier-ignore

const introspect = fc.nat().map((number) =>
  command(`introspect family ${number}`, hasFamilies, async (model, { server }) => {
    const { family } = pick(model, number)
    if (family.client !== 'web') return
    const isActive = async (token: string) => (await server.introspect({ token }, basic(web))).json.active
    for (const { name } of family.accessTokens) expect(await isActive(name)).toBe(model.isAccessTokenActive(family, name))
    for (const name of family.generations) expect(await isActive(name)).toBe(model.isRefreshTokenActive(family, name))
  })) // prettier-ignore

// The edges of every lifetime, and little steps between them.
const pass = fc.constantFrom(1, 4, 5, 29, 30, 34, 35, 59, 60, 61, 199, 200, 299, 300).map((seconds) =>
  command(`${seconds} s pass`, () => true, async (model, { clock }) => {
    clock.now += seconds
    model.now += seconds
  })) // prettier-ignore

const sweep = fc.constant(command('what has expired is deleted', () => true, async (_model, real) => {
  await real.sweep()
})) // prettier-ignore

const anyClient = fc.option(client, { nil: undefined })

const list = anyClient.map((client_id) =>
  command(`list the authorizations of ${client_id ?? 'every client'}`, () => true, async (model, { server, subject, codes }) => {
    const listed: string[] = []
    for await (const { id } of listAuthorizations(server.options, ownedBy(subject, client_id))) listed.push(id)
    const live = codes.filter((_code, index) => model.liveFamilies(client_id).some((family) => family === model.families[index]))
    expect(listed.sort()).toEqual(live.map((code) => code.slice(0, 22)).sort())
  })) // prettier-ignore

const logOut = anyClient.map((client_id) =>
  command(`log out of ${client_id ?? 'everything'}`, hasFamilies, async (model, { server, subject }) => {
    expect(await revokeAuthorizations(server.options, ownedBy(subject, client_id))).toBe(model.revokeFamilies(client_id))
  })) // prettier-ignore

function ownedBy(subject: string, client_id: string | undefined): { subject: string; client_id?: string } {
  return client_id === undefined ? { subject } : { subject, client_id }
}

function other(client_id: string): string {
  return client_id === 'web' ? 'native' : 'web'
}

const usual = [issueCode, redeem, redeem, refresh, refresh, refresh, revoke, introspect, introspect, pass, sweep, list]
const arbitraries = [...usual, ...usual, logOut]
const commands = fc.commands(arbitraries, { maxCommands: 60, size: 'max' })

let sequences = 0

/**
 * One random sequence after another over the same store, each with one of the windows. `disturb` may put something between the server and
 * the store.
 */
export function agreement(
  retryWindows: readonly number[],
  clock: Clock,
  { store, sweep }: ClockedStore,
  disturb: (store: Store) => Store = (store) => store,
) {
  const server = (refreshRetryWindow: number) =>
    testServer({
      store: disturb(store),
      clock: () => clock.now,
      codeLifetime,
      accessTokenLifetime,
      clockTolerance,
      refreshRetryWindow,
      refreshTokenIdleLifetime: times.idleLifetime,
      refreshTokenLifetime: times.absoluteLifetime,
    })
  return fc.asyncProperty(fc.constantFrom(...retryWindows), commands, async (window, sequence) => {
    const retryWindow = window === 0 ? 0 : window + clockTolerance
    const real = { server: server(window), clock, subject: `subject-${sequences++}`, codes: [], sweep }
    await fc.asyncModelRun(() => ({ model: new ReferenceModel(clock.now, { ...times, retryWindow }), real }), sequence)
  })
}
