/** Who steals a database can use nothing of it: no credential is in a dump, and no text of a dump is accepted as one. */
import { describe, expect, test } from '@jest/globals'
import { basic, exchange, machine, native, testServer, web, type TestServer } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite, type Place } from '../support/services.js'

dumpOf(describeWith('PostgreSQL'), 'PostgreSQL', openPostgres)
dumpOf(describeWith('Redis'), 'Redis', openRedis)
dumpOf(describe, 'SQLite', openSqlite)

function dumpOf(declare: typeof describe | typeof describe.skip, name: string, open: () => Promise<Place>): void {
  declare(`I6 a dump of ${name}`, () => {
    test('holds no credential, and nothing in it opens anything', async () => {
      const place = await open()
      try {
        const server = testServer({ store: place.store })
        const handedOut = await liveCredentials(server)
        const dump = await place.dump()
        for (const text of [...handedOut, web.client_secret, machine.client_secret]) {
          for (const form of formsOf(text)) expect(dump).not.toContain(form)
        }
        const guesses = guessesFrom(dump)
        expect(guesses.length).toBeGreaterThan(100)
        for (const guess of guesses) await expectUseless(server, guess)
        // The server still stands by what it handed out, so the guesses had something to open.
        expect((await server.token(exchange(handedOut[0] ?? ''), basic(web))).status).toBe(200)
        expect((await server.refresh(handedOut[1] ?? '')).status).toBe(200)
      } finally {
        await place.close()
      }
    })
  })
}

/** A code, a refresh token, and access tokens, all of them live. */
async function liveCredentials(server: TestServer): Promise<readonly string[]> {
  const code = await server.code()
  const { refresh_token: first } = await server.tokens()
  const { json: rotated } = await server.refresh(first)
  const { access_token: mobile, refresh_token: mobileRefresh } = await server.tokens({ client_id: 'native' })
  const { json: granted } = await server.token({ grant_type: 'client_credentials' }, basic(machine))
  const live = [code, rotated.refresh_token, rotated.access_token, mobile, mobileRefresh, granted.access_token]
  return live.map((text) => text ?? '')
}

function formsOf(text: string): string[] {
  const secret = text.slice(text.indexOf('.') + 1)
  return [text, secret].flatMap((form) => [form, encodeURIComponent(form), Buffer.from(form).toString('base64url')])
}

/** Every text of a dump that could be a credential, alone and behind every id. */
function guessesFrom(dump: string): string[] {
  const texts = new Set(dump.match(/[A-Za-z0-9_.-]{20,}/g))
  const ids = [...texts].filter((text) => text.length === 22)
  const secrets = [...texts].filter((text) => text.length === 43)
  return [...texts, ...ids.flatMap((id) => secrets.flatMap((secret) => [`${id}.${secret}`, `${id}.1.${secret}.${secret}`]))].filter((text) => text.length <= 200) // prettier-ignore
}

async function expectUseless(server: TestServer, guess: string): Promise<void> {
  const form = { client_id: native.client_id }
  const statuses = [
    (await server.token(exchange(guess), basic(web))).status,
    (await server.token({ ...exchange(guess), ...form })).status,
    (await server.refresh(guess)).status,
    (await server.token({ grant_type: 'refresh_token', refresh_token: guess, ...form })).status,
  ]
  expect(statuses).toEqual([400, 400, 400, 400])
  expect((await server.introspect({ token: guess }, basic(web))).json).toEqual({ active: false })
}
