/**
 * The least that still issues tokens: a hand-written endpoint, on node:http and on Express. It checks the secret and looks things up, and does nothing
 * that keeps an attacker out. Not for use.
 */
import express from 'express'
import { randomBytes, createHash } from 'node:crypto'
import { client, lifetime, pkce, resourceAnswer, scope, subject } from '../workloads.js'

export function start({ kind, format, store }, { host }) {
  if (format !== 'opaque' || store !== 'memory') throw new Error('opaque tokens in memory only')
  const [codes, refreshTokens, accessTokens] = [new Map(), new Map(), new Map()]
  const basic = `Basic ${Buffer.from(`${client.client_id}:${client.client_secret}`).toString('base64')}`
  const newToken = () => randomBytes(32).toString('base64url')

  function issue(refreshable) {
    const access_token = newToken()
    const grant = { client_id: client.client_id, scope, expiresAt: Date.now() + lifetime * 1000 }
    accessTokens.set(access_token, grant)
    const answer = { access_token, token_type: 'Bearer', expires_in: lifetime, scope }
    if (!refreshable) return answer
    const refresh_token = newToken()
    refreshTokens.set(refresh_token, { ...grant, subject })
    return { ...answer, refresh_token }
  }

  function answerForm(form) {
    switch (form.get('grant_type')) {
      case 'client_credentials':
        return issue(false)
      case 'authorization_code': {
        const challenge = codes.get(form.get('code'))
        codes.delete(form.get('code'))
        const verified = createHash('sha256').update(form.get('code_verifier')).digest('base64url') === challenge
        return verified ? issue(true) : undefined
      }
      default:
        return refreshTokens.delete(form.get('refresh_token')) ? issue(true) : undefined
    }
  }

  function send(res, status, answer) {
    const body = JSON.stringify(answer)
    res.writeHead(status, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      Pragma: 'no-cache',
      'Content-Length': Buffer.byteLength(body),
    })
    res.end(body)
  }

  function listener(req, res) {
    const { authorization = '' } = req.headers
    if (req.method === 'GET') {
      const found = accessTokens.get(authorization.slice('Bearer '.length))
      return found !== undefined && Date.now() < found.expiresAt ? send(res, 200, resourceAnswer) : send(res, 401, {})
    }
    let text = ''
    req.setEncoding('utf8')
    req.on('data', (chunk) => (text += chunk))
    req.on('end', () => {
      const answer = authorization === basic ? answerForm(new URLSearchParams(text)) : undefined
      send(res, answer === undefined ? 400 : 200, answer ?? { error: 'invalid_grant' })
    })
  }

  return {
    listener: host === 'express' ? onExpress(listener) : listener,
    prepare: (count) =>
      Array.from({ length: count }, () => {
        const code = newToken()
        codes.set(code, pkce.code_challenge)
        if (kind === 'exchange') return code
        return kind === 'refresh' ? issue(true).refresh_token : issue(false).access_token
      }),
  }
}

function onExpress(listener) {
  const app = express()
  app.post('/oauth2/token', listener)
  app.get('/api', listener)
  return app
}
