/**
 * What every example needs beside its subject: https on this machine, with a certificate made at start.
 * PORT says where it listens in place of the usual port; 0 takes any free port.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'

/** Serves over https, and resolves to the origin once it does: `https://localhost:3000`. */
export async function serve(app: (req: IncomingMessage, res: ServerResponse) => void, usualPort = 3000): Promise<string> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec' })
  const server = createServer({ key, cert }, app)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(Number(process.env.PORT ?? usualPort), 'localhost', resolve)
  })
  return `https://localhost:${(server.address() as AddressInfo).port}`
}
