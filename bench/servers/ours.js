/** This package, on each of its hosts, in the configuration of the README: every check on. */
import connect from 'connect'
import express from 'express'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { pathToFileURL } from 'node:url'
import { askForTokens, exchangeForm, issueCode, serverOptions } from '../our-server.js'
import { resourceAnswer, scope, subject } from '../workloads.js'

const resourceBody = JSON.stringify(resourceAnswer)

const hosts = {
  node: ({ handleToken, guard }) => {
    const resource = (req, res) => guard(req, res, () => sendResource(res))
    return (req, res) => (req.url === '/oauth2/token' ? handleToken(req, res) : resource(req, res))
  },
  connect: ({ handleToken, guard }) => {
    const app = connect()
    app.use('/oauth2/token', handleToken)
    app.use('/api', guard)
    app.use('/api', (_req, res) => sendResource(res))
    return app
  },
  express: ({ handleToken, guard }) => {
    const app = express()
    app.post('/oauth2/token', handleToken)
    app.get('/api', guard, (_req, res) => res.json(resourceAnswer))
    return app
  },
}

function sendResource(res) {
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(resourceBody) })
  res.end(resourceBody)
}

export async function start(workload, { host, packageRoot }) {
  const load = (path) => import(pathToFileURL(`${packageRoot}/dist/${path}.js`))
  const library = await load('index')
  const { store, close } = await createStore(workload, library, load)
  const oauth = {
    ...serverOptions,
    store,
    ...createFormat(workload, library),
  }
  const handlers = { handleToken: library.tokenHandler(oauth), guard: library.requireAccessToken(oauth, { scope }) }
  return {
    listener: hosts[host](handlers),
    prepare: (count) => inParallel(count, () => createMaterial(workload, library, oauth)),
    fill: (count) => inParallel(count, () => createMaterial({ kind: 'resource' }, library, oauth), false),
    close,
  }
}

function createFormat({ format }, { jwt, encrypted }) {
  switch (format) {
    case 'ES256':
      return { accessTokens: jwt({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }) }
    case 'EdDSA':
      return { accessTokens: jwt({ key: generateKeyPairSync('ed25519').privateKey }) }
    case 'RS256':
      return { accessTokens: jwt({ key: generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey }) }
    case 'encrypted':
      return { accessTokens: encrypted({ key: randomBytes(32) }) }
    default:
      return {}
  }
}

async function createStore({ store }, { memoryStore }, load) {
  if (store === 'postgres') {
    const { default: pg } = await import('pg')
    const { postgresStore } = await load('stores/postgres')
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL ?? 'postgres://postgres@127.0.0.1:5432/test', max: 20 })
    const table = `bench_${process.pid}`
    const store = postgresStore(pool, { table })
    await store.createTables()
    return { store, close: () => pool.query(`DROP TABLE ${table}`) }
  }
  if (store === 'redis') {
    const { createClient } = await import('redis')
    const { redisStore } = await load('stores/redis')
    const redis = await createClient({ url: process.env.REDIS_URL ?? 'redis://127.0.0.1:6379' }).connect()
    const prefix = `bench:${process.pid}:`
    return { store: redisStore({ sendCommand: (args) => redis.sendCommand(args), prefix }), close: () => deleteKeys(redis, prefix) }
  }
  return { store: memoryStore({ maxRecords: 4_000_000 }) }
}

async function deleteKeys(redis, prefix) {
  for await (const keys of redis.scanIterator({ MATCH: `${prefix}*`, COUNT: 1000 })) if (keys.length > 0) await redis.unlink(keys)
}

async function createMaterial({ kind }, library, oauth) {
  const ask = (form) => askForTokens(library, oauth, form)
  const code = () => issueCode(library, oauth, subject)
  switch (kind) {
    case 'exchange':
      return code()
    case 'refresh':
      return (await ask(exchangeForm(await code()))).refresh_token
    default:
      return (await ask({ grant_type: 'client_credentials', scope })).access_token
  }
}

async function inParallel(count, make, isKept = true) {
  const made = []
  for (let left = count; left > 0; left -= 50) {
    const some = await Promise.all(Array.from({ length: Math.min(50, left) }, make))
    if (isKept) made.push(...some)
  }
  return made
}
