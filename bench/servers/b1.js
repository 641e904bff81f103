/** The base: Express 5 with its own form parser, answering a constant. What every Express application pays before it does anything. */
import express from 'express'
import { constantAnswer, constantMaterial } from '../workloads.js'

export function start(workload) {
  const app = express()
  const answer = constantAnswer(workload)
  app.use(express.urlencoded())
  // RFC 6749 §5.1
  app.post('/oauth2/token', (_req, res) => res.set({ 'Cache-Control': 'no-store', Pragma: 'no-cache' }).json(answer))
  app.get('/api', (_req, res) => res.json(answer))
  return { listener: app, prepare: (count) => constantMaterial(workload, count) }
}
