/**
 * The records of a store of any size: each as the package writes it, told apart by its number, and the credentials that open it.
 *
 * 1. Real Authorizations are made through the package, and their rows are read back: the templates.
 * 2. Record `n` is a template in which every id, version, subject, key and hash is one that follows from `n`.
 *
 * Of ten records three are of client credentials, six are sessions that were refreshed, one is a session that was not. Half of them belong to
 * the client that asks, the others to a thousand more. Every subject has two sessions.
 */
import { createHmac, hash, randomBytes } from 'node:crypto'
import { askForTokens, exchangeForm, issueCode, serverOptions } from '../our-server.js'
import { client, scope } from '../workloads.js'

/** What stays alive for as long as the measurement may take. */
export const accessTokenLifetime = 86_400
const day = 86_400
const otherClients = 1000

const sha256 = (text) => hash('sha256', text, 'base64url')
const noise = randomBytes(1 << 20).toString('base64url')
const noiseAt = (n, size) => noise.slice((n * 7919) % (noise.length - size)).slice(0, size)

/** The options of the server, but for its store. */
export const scaleOptions = { ...serverOptions, accessTokenLifetime }

/** Makes one Authorization of each kind in `store` and reads their rows by `read(id)`. */
async function makeTemplates(library, store, read) {
  const options = { ...scaleOptions, store }
  const ask = (form) => askForTokens(library, options, form)
  const templateOf = async ({ access_token }) => compile(await read(access_token.split('.')[0]))
  const session = async () => ask(exchangeForm(await issueCode(library, options, subjectOf(0))))
  const { refresh_token } = await session()
  return {
    credentials: await templateOf(await ask({ grant_type: 'client_credentials', scope })),
    exchanged: await templateOf(await session()),
    refreshed: await templateOf(await ask({ grant_type: 'refresh_token', refresh_token })),
  }
}

/** A document as the texts between its secrets, and what each of those is. */
function compile({ kind, subject, document }) {
  const { code, refreshToken, accessTokens } = JSON.parse(document).data
  const newest = accessTokens.at(-1).hash
  const secrets = [
    [newest, ({ accessHash }) => accessHash],
    [refreshToken?.hash, ({ refreshHash }) => refreshHash],
    [refreshToken?.key, ({ key }) => key],
    ...[code?.hash, code?.pkce.code_challenge, refreshToken?.previous?.hash, ...accessTokens.slice(0, -1).map((token) => token.hash)].map(
      (text, position) => [text, ({ n }) => noiseAt(n + position, text.length)],
    ),
    [refreshToken?.previous?.sealedAnswer, ({ n }, text) => text.slice(0, 3) + noiseAt(n, text.length - 3)],
  ]
  let parts = [document]
  for (const [text, of] of secrets.filter(([text]) => text !== undefined)) {
    parts = parts.flatMap((part) => {
      if (typeof part !== 'string') return [part]
      return part.split(text).flatMap((between, index) => (index === 0 ? [between] : [(values) => of(values, text), between]))
    })
  }
  const generation = refreshToken?.generation
  return { kind, hasSubject: subject !== null && subject !== undefined, parts, generation }
}

function subjectOf(n) {
  return hash('sha1', `subject ${n}`, 'base64url').slice(0, 22)
}

/** A population of `wanted` records, or a few more, and some that have expired. */
export async function createPopulation(library, wanted, store, read) {
  const templates = await makeTemplates(library, store, read)
  const seed = randomBytes(8).toString('hex')
  const subjects = Math.ceil(wanted / 20) * 10
  const size = 2 * subjects
  const start = Math.floor(Date.now() / 1000)
  const used = new Set()

  const kindOf = (n) => (n % 10 < 3 ? 'credentials' : n % 10 === 9 ? 'exchanged' : 'refreshed')
  const isOwn = (n) => Math.floor(n / 10) % 2 === 0

  function secretsOf(n) {
    const text = hash('sha512', `${seed} ${n}`, 'base64url') + hash('sha512', `${n} ${seed}`, 'base64url')
    const id = text.slice(0, 22)
    const key = text.slice(65, 108)
    const access_token = `${id}.${text.slice(22, 65)}`
    return { n, id, key, access_token, version: text.slice(151, 172).padEnd(22, '-'), random: text.slice(108, 151) }
  }

  function refreshTokenOf({ id, key, random }, { generation }) {
    const tagged = `${id}.${generation}.${random}`
    return `${tagged}.${createHmac('sha256', key).update(tagged).digest('base64url')}`
  }

  /** Record `n` as a row. From `size` on they have expired. */
  function row(n) {
    const isExpired = n >= size
    const template = templates[isExpired ? 'credentials' : kindOf(n)]
    const secrets = secretsOf(n)
    const values = {
      ...secrets,
      accessHash: sha256(secrets.access_token),
      refreshHash: template.generation === undefined ? undefined : sha256(refreshTokenOf(secrets, template)),
    }
    const spread = ((n * 7919) % 1_000_003) / 1_000_003
    return {
      id: secrets.id,
      version: secrets.version,
      kind: template.kind,
      client_id: isOwn(n) ? client.client_id : `client-${Math.floor(n / 20) % otherClients}`,
      subject: template.hasSubject ? subjectOf(n % subjects) : null,
      expires_at:
        start + Math.floor(isExpired ? -3600 - day * spread : template.hasSubject ? day * (2 + 12 * spread) : (day * (1 + spread)) / 2),
      document: template.parts.map((part) => (typeof part === 'string' ? part : part(values))).join(''),
    }
  }

  const ofSubject = (n) => [n % subjects, (n % subjects) + subjects]

  return {
    size,
    row,
    subject: (n) => subjectOf(n % subjects),
    accessToken: (n) => secretsOf(n).access_token,
    refreshToken: (n) => refreshTokenOf(secretsOf(n), templates[kindOf(n)]),
    /** The records of the subject of record `n`. */
    ofSubject,
    /** `count` live records whose subject was not chosen before: any, or sessions of the client that asks. */
    choose(count, isSession) {
      const chosen = []
      for (let tries = 0; chosen.length < count; tries++) {
        if (tries > 100 * count + 1000) throw new Error('there are too few records for so many requests')
        const n = Math.floor(Math.random() * size)
        if (used.has(n) || (isSession && (!isOwn(n) || kindOf(n) === 'credentials'))) continue
        for (const number of ofSubject(n)) used.add(number)
        chosen.push(n)
      }
      return chosen
    },
    /** All rows, `expired` expired ones spread among them. */
    *rows(expired) {
      const every = Math.floor(size / Math.max(expired, 1))
      for (let n = 0; n < size; n++) {
        yield row(n)
        if (n % every === 0 && n / every < expired) yield row(size + n / every)
      }
    },
  }
}
