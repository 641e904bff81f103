/**
 * An authorization server over real HTTP, behind a proxy that ends TLS, and the browser of somebody who visits it.
 */
import express from 'express'
import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { authorizationServer, type AuthorizationServerParts, type Decide, type ServerOptions } from '../../src/index.js'
import { code_challenge, redirect_uri, testServer, type TestServer } from '../support/server.js'
import type { Resources } from '../support/wire.js'

export const issuer = 'https://as.example'

/** An authorization request of `web` that nothing is wrong with. */
export const asked = {
  response_type: 'code',
  client_id: 'web',
  redirect_uri,
  scope: 'read',
  state: 'state of web',
  code_challenge,
  code_challenge_method: 'S256',
} as const

/** Its path, but for the differences; undefined leaves a parameter out. */
export function authorizePath(differences: Readonly<Record<string, string | undefined>> = {}): string {
  const members: Readonly<Record<string, string | undefined>> = { ...asked, ...differences }
  const pairs = Object.entries(members).flatMap(([name, value]): [string, string][] => (value === undefined ? [] : [[name, value]]))
  return `/oauth2/authorize?${new URLSearchParams(pairs).toString()}`
}

export interface Site {
  readonly server: TestServer
  readonly url: string
  /** Who is logged in. Undefined: a login page is shown. */
  subject: string | undefined
  /** A browser that has never been here. */
  browser(): Browser
}

/** `authorizationServer` at the root of an Express application, for which `subject` is logged in. */
export async function startSite(
  resources: Resources,
  options: ServerOptions = {},
  parts: Partial<AuthorizationServerParts> = {},
): Promise<Site> {
  const server = testServer({ issuer, trustProxy: () => true, ...options })
  const app = express()
  app.use(authorizationServer(server.options, { authorize: (request, req, res) => loginOf(site)(request, req, res), ...parts }))
  const { url } = await resources.listen(app)
  const site: Site = { server, url, subject: 'alice', browser: () => new Browser(url) }
  return site
}

function loginOf({ subject }: Site): Decide {
  return (_request, _req, res: express.Response) => {
    if (subject !== undefined) return { subject }
    res.send('please log in')
    return undefined
  }
}

export interface Visit {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What a browser got. */
export interface Page {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** Where it is sent on to. */
  readonly location: string | undefined
  /** The parameters there. */
  readonly answer: Readonly<Record<string, string>>
  /** The hidden fields of its form. */
  readonly fields: Readonly<Record<string, string>>
}

const sameOrigin = { origin: issuer, 'sec-fetch-site': 'same-origin' }
const formType = { 'content-type': 'application/x-www-form-urlencoded' }

/** Keeps cookies, and sends the headers by which a browser says where a request comes from. Follows nothing. */
export class Browser {
  readonly cookies = new Map<string, string>()
  readonly #url: string

  constructor(url: string) {
    this.#url = url
  }

  async go(path: string, { method = 'GET', headers = {}, body = '' }: Visit = {}): Promise<Page> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const proxied = { host: 'as.example', 'x-forwarded-proto': 'https', ...(cookie === '' ? {} : { cookie }) }
    const req = request(this.#url + path, { method, agent: false, headers: { ...proxied, ...headers } })
    req.end(body)
    const [res] = (await once(req, 'response')) as [IncomingMessage]
    for (const field of res.headers['set-cookie'] ?? []) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(field) ?? []
      this.cookies.set(name, value)
    }
    return pageOf(res, await textOf(res))
  }

  /** Posts a form as the page at `path` would. */
  post(path: string, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<Page> {
    return this.go(path, {
      method: 'POST',
      headers: { ...formType, ...sameOrigin, ...headers },
      body: new URLSearchParams(fields).toString(),
    })
  }

  /** Looks at the consent page and presses a button. */
  async decide(path: string, decision: 'allow' | 'deny' = 'allow'): Promise<Page> {
    const page = await this.go(path)
    return this.post(path, { ...page.fields, decision })
  }
}

async function textOf(res: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function pageOf({ statusCode = 0, headers }: IncomingMessage, body: string): Page {
  const { location } = headers
  const answer = Object.fromEntries(new URLSearchParams(location?.slice(location.indexOf('?') + 1)))
  const inputs = [...body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
  const fields = Object.fromEntries(inputs.map(([, name = '', value = '']) => [name, value]))
  return { status: statusCode, headers, body, location, answer: location === undefined ? {} : answer, fields }
}
