/**
 * What every example needs beside its subject: https on this machine, with a certificate made at start.
 * PORT says where it listens in place of the usual port; 0 takes any free port.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { generate } from 'selfsigned'

let certificate = ''

/** Serves over https, and resolves to the origin once it does: `https://localhost:3000`. */
export async function serve(app: (req: IncomingMessage, res: ServerResponse) => void, usualPort = 3000): Promise<string> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  certificate = cert
  const server = createServer({ key, cert }, app)
  await new Promise<void>((resolve, reject) => {
    const port = Number(process.env.PORT ?? usualPort)
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') {
        reject(error)
        return
      }
      const command = process.env.npm_lifecycle_event === 'start' ? 'npm start' : `npx tsx ${relative('', process.argv[1] ?? '')}`
      console.error(`port ${port} is taken; PORT=${port + 1} ${command}`)
      process.exit(1)
    })
    server.listen(port, 'localhost', resolve)
  })
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

/** The certificate as a file: for `NODE_EXTRA_CA_CERTS` of another process that calls this one. */
export function certificateFile(): string {
  const file = join(mkdtempSync(join(tmpdir(), 'certificate-')), 'certificate.pem')
  writeFileSync(file, certificate)
  return file
}
