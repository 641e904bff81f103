/** A whole OAuth 1 server on https://localhost: Express, both endpoints, a page that agrees at once, and a protected resource. */
import express from 'express'
import { createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'
import {
  authorizeTemporaryCredentials,
  requireOAuth1,
  temporaryCredentialsHandler,
  tokenCredentialsHandler,
  type OAuth1Info,
  type OAuth1Options,
} from '../../src/oauth1/index.js'

export interface RunningServer {
  readonly url: string
  readonly certificate: string
  /** A request that trusts the server, with the status and the text of the answer. */
  send(url: string, options?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<Answer>
  close(): Promise<void>
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export async function startServer(options: OAuth1Options): Promise<RunningServer> {
  const app = express()
  app.use('/oauth/initiate', temporaryCredentialsHandler(options))
  app.get('/oauth/authorize', async (req, res) => {
    const { redirect, oauth_verifier } = await authorizeTemporaryCredentials(options, {
      oauth_token: new URL(req.url, 'https://localhost').searchParams.get('oauth_token') ?? '',
      subject: 'alice',
    })
    if (redirect === undefined) res.type('text').send(oauth_verifier)
    else res.redirect(redirect)
  })
  app.use('/oauth/token', tokenCredentialsHandler(options))
  app.use(express.urlencoded({ extended: false }), express.json())
  app.use('/photos', requireOAuth1(options), (req, res) => {
    const { subject } = (req as unknown as { auth: OAuth1Info }).auth
    res.json({ subject, method: req.method, query: req.query, body: req.body ?? null })
  })

  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
  })
  const server = createServer({ key, cert }, app)
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const url = `https://localhost:${(server.address() as AddressInfo).port}`
  return {
    url,
    certificate: cert,
    send: (to, { method = 'GET', headers = {}, body } = {}) =>
      new Promise((resolve, reject) => {
        const request = httpsRequest(to, { method, headers, ca: cert, agent: false }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => (text += part))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
        })
        request.on('error', reject).end(body)
      }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
