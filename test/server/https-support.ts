/**
 * Https on this machine for the tests of the whole server: an origin with a certificate of its own, a fetch that trusts it, and a person who
 * agrees on the consent page without a browser.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request as httpsRequest } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'

const certificate = generate([{ name: 'commonName', value: 'localhost' }], {
  keyType: 'ec',
  extensions: [
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }, { type: 2, value: 'client.example' }, { type: 7, ip: '127.0.0.1' }] }, // prettier-ignore
  ],
})

/** The certificate that the servers here have, and that who asks them has to trust. */
export async function certificateAuthority(): Promise<string> {
  return (await certificate).cert
}

/** The same with its key, for a server that speaks TLS and something else than HTTP. */
export async function hostCertificate(): Promise<{ readonly cert: string; readonly key: string }> {
  const { private: key, cert } = await certificate
  return { cert, key }
}

export interface HttpsServer {
  readonly origin: string
  readonly port: number
  close(): Promise<void>
}

/** Serves over https on any free port. */
export async function serveHttps(app: (req: IncomingMessage, res: ServerResponse) => void): Promise<HttpsServer> {
  const { private: key, cert } = await certificate
  const server = createServer({ key, cert }, app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    origin: `https://localhost:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}

/** What `fetch` does, for the servers here: no redirect is followed, and the body is read whole. */
export async function trustingFetch(input: string | URL | Request, init: RequestInit = {}): Promise<Response> {
  const { method, headers, body } = new Request(input, { ...init, ...((init.body ?? undefined) === undefined ? {} : { duplex: 'half' }) })
  const sent = body === null ? undefined : Buffer.from(await new Response(body).arrayBuffer())
  const url = input instanceof Request ? input.url : input
  const options = {
    method,
    agent: false as const,
    headers: { ...Object.fromEntries(headers), connection: 'close' },
    // An example that runs as a process has a certificate that nobody knows; it is on this machine.
    rejectUnauthorized: false,
  }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(url, options, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const status = response.statusCode ?? 0
        const hasBody = chunks.length > 0 && ![204, 304].includes(status)
        const fields = response.rawHeaders.flatMap((name, index) => (index % 2 === 0 ? [[name, response.rawHeaders[index + 1] ?? '']] : []))
        resolve(new Response(hasBody ? Buffer.concat(chunks) : null, { status, headers: fields as [string, string][] }))
      })
    })
    request.on('error', reject)
    request.end(sent)
  })
}

/** A person with a browser: opens the page, presses a button, and tells where that leads. */
export async function decideOnPage(url: string | URL, decision: 'allow' | 'deny' = 'allow', fetch = trustingFetch): Promise<URL> {
  const page = await fetch(url)
  const html = await page.text()
  if (page.status !== 200) throw new Error(`no consent page: ${page.status} ${page.headers.get('location') ?? html}`)
  const hidden = [...html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)].map(
    ([, name = '', value = '']) => [name, value] as const,
  )
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      cookie: (page.headers.get('set-cookie') ?? '').split(';', 1).join(''),
      'content-type': 'application/x-www-form-urlencoded',
      'sec-fetch-site': 'same-origin',
    },
    body: new URLSearchParams({ ...Object.fromEntries(hidden), decision }).toString(),
  })
  const location = answer.headers.get('location')
  if (answer.status !== 303 || location === null) throw new Error(`no redirect: ${answer.status} ${await answer.text()}`)
  return new URL(location)
}
