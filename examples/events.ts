/**
 * What happens at the endpoints, as a log, as metrics, and on the trace of a request. None of the three has a credential in it.
 * What differs from client-credentials.ts: `onEvent`, and two subscribers of a `node:diagnostics_channel`.
 *
 * Run it:  npx tsx examples/events.ts
 * Try it:  curl -k https://localhost:3000/oauth2/token -u reports:wrong-secret -d grant_type=client_credentials
 * Answer:  {"error":"invalid_client","error_description":"client authentication failed"}
 * Log:     {"level":"warn","type":"request.refused","endpoint":"token","error":"invalid_client","status":401,"reason":"wrong or expired client secret","client_id":"reports","address":"127.0.0.1","at":…,"duration":…,"msg":"request.refused"}
 * Then:    curl -k https://localhost:3000/metrics
 * Answer:  oauth2_events_total{type="request.refused",endpoint="token",error="invalid_client"} 1
 */
import { subscribe } from 'node:diagnostics_channel'
import { trace } from '@opentelemetry/api'
import express from 'express'
import { tokenHandler, type ServerEvent, type ServerOptions } from 'oauth2-token-handler'
import { pino } from 'pino'
import { Counter, register } from 'prom-client'
import { serve } from './https.js'

// A log. `cause` is not written, because it is not enumerable: what a driver throws may hold a password.
const log = pino({ base: null, timestamp: false, formatters: { level: (level) => ({ level }) } })
const levels: Partial<Record<ServerEvent['type'], 'warn' | 'error'>> = {
  'request.refused': 'warn',
  'code.replayed': 'error',
  'refresh_token.reused': 'error',
  'request.failed': 'error',
  warning: 'warn',
}

// Metrics. Labels are words of this package: no client, no subject, nothing that anybody could make up.
const total = new Counter({ name: 'oauth2_events_total', help: 'What happened', labelNames: ['type', 'endpoint', 'error'] })
subscribe('oauth2-token-handler', (event) => {
  const { type, endpoint, error } = event as ServerEvent
  total.inc({ type, ...(endpoint === undefined ? {} : { endpoint }), ...(error === undefined ? {} : { error }) })
})

// Traces. The event belongs to the span of the request, where an OpenTelemetry SDK has begun one.
subscribe('oauth2-token-handler', (event) => {
  const { type, cause: _cause, ...attributes } = event as ServerEvent
  trace.getActiveSpan()?.addEvent(type, attributes)
})

const oauth: ServerOptions = {
  clients: [{ client_id: 'reports', client_secret: 'reports-secret', grant_types: ['client_credentials'] }],
  onEvent: (event) => log[levels[event.type] ?? 'info'](event, event.type),
}

const app = express()
app.post('/oauth2/token', tokenHandler(oauth))
// In your application metrics are for your own network only.
app.get('/metrics', async (_req, res) => void res.type(register.contentType).send(await register.metrics()))

const origin = await serve(app)
console.log(`Metrics are at ${origin}/metrics. In another terminal:

curl -k ${origin}/oauth2/token -u reports:wrong-secret -d grant_type=client_credentials
`)
