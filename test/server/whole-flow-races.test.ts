/** One code, 100 redemptions at once, from the authorization endpoint to the guard, over every store and two servers. */
import { afterEach, describe, expect, test } from '@jest/globals'
import express from 'express'
import { authorizationServer, memoryStore, requireAccessToken, type Store } from '../../src/index.js'
import { basic, exchange, web } from '../support/server.js'
import { describeWith, openPostgres, openRedis, openSqlite } from '../support/services.js'
import { readCheckWrite } from '../support/store-of.js'
import { Resources } from '../support/wire.js'
import { authorizePath, Browser, issuer } from './site.js'

const contestants = 100
const resources = new Resources()
afterEach(() => resources.close())

async function serverOver(store: Store): Promise<Browser> {
  const options = { issuer, clients: [web], scopes: ['read'], resources: [`${issuer}/mcp`], trustProxy: () => true, store }
  const app = express()
  app.use(authorizationServer(options, { authorize: () => ({ subject: 'alice' }) }))
  app.use('/mcp', requireAccessToken(options, { scope: 'read' }), (_req, res) => void res.send('ok'))
  return new Browser((await resources.listen(app)).url)
}

interface Outcome {
  readonly statuses: readonly number[]
  readonly errors: readonly unknown[]
  /** What the guard says to the tokens that were given out. */
  readonly used: readonly number[]
}

/** PAR is spared: the decision of alice, and then everybody with her code. */
async function race(store: Store): Promise<Outcome> {
  const browsers = [await serverOver(store), await serverOver(store)] as const
  const { answer } = await browsers[0].decide(authorizePath())
  const body = new URLSearchParams(exchange(answer.code ?? '')).toString()
  const headers = { ...basic(web), 'content-type': 'application/x-www-form-urlencoded' }
  const redeem = (_: unknown, index: number) => browsers[index % 2 === 0 ? 0 : 1].go('/oauth2/token', { method: 'POST', headers, body })
  const pages = await Promise.all(Array.from({ length: contestants }, redeem))
  const documents = pages.map((page) => JSON.parse(page.body) as { access_token?: string; refresh_token?: string; error?: string })
  const tokens = documents.flatMap(({ access_token }) => access_token ?? [])
  const uses = tokens.map((token) => browsers[1].go('/mcp', { headers: { authorization: `Bearer ${token}` } }))
  return {
    statuses: pages.map(({ status }) => status).sort((a, b) => a - b),
    errors: [...new Set(documents.flatMap(({ error }) => error ?? []))],
    used: (await Promise.all(uses)).map(({ status }) => status),
  }
}

const one = { statuses: [200, ...Array.from({ length: contestants - 1 }, () => 400)], errors: ['invalid_grant'], used: [401] }

describe('I1 G3 one code, 100 redemptions through the whole flow', () => {
  test('I1 G3 in memory: one 200, and nothing of it stays active', async () => {
    expect(await race(memoryStore())).toEqual(one)
  })

  test('I1 a store that reads, checks, and then writes is found out', async () => {
    const { statuses } = await race(readCheckWrite(memoryStore()))
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(1)
  })

  test('I1 G3 in SQLite', async () => {
    const { store, close } = await openSqlite()
    try {
      expect(await race(store)).toEqual(one)
    } finally {
      await close()
    }
  })
})

describeWith('PostgreSQL')('I1 G3 the same in PostgreSQL', () => {
  test('I1 G3 one 200, and nothing of it stays active', async () => {
    const { store, close } = await openPostgres()
    try {
      expect(await race(store)).toEqual(one)
    } finally {
      await resources.close()
      await close()
    }
  })
})

describeWith('Redis')('I1 G3 the same in Redis', () => {
  test('I1 G3 one 200, and nothing of it stays active', async () => {
    const { store, close } = await openRedis()
    try {
      expect(await race(store)).toEqual(one)
    } finally {
      await resources.close()
      await close()
    }
  })
})
