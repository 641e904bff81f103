/** The physical limit: bare node:http that reads the body and answers a constant. */
import { constantAnswer, constantMaterial } from '../workloads.js'

export function start(workload) {
  const body = Buffer.from(JSON.stringify(constantAnswer(workload)))
  const headers = { 'Content-Type': 'application/json', 'Cache-Control': 'no-store', Pragma: 'no-cache', 'Content-Length': body.length }
  const listener = (req, res) => {
    const answer = () => {
      res.writeHead(200, headers)
      res.end(body)
    }
    // A request without body is over when it arrives.
    if (req.method === 'GET') return answer()
    const chunks = []
    req.on('data', (chunk) => chunks.push(chunk)).on('end', answer)
  }
  return { listener, prepare: (count) => constantMaterial(workload, count) }
}
