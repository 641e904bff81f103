/** A flood of temporary credentials that nobody agrees to, for tests of any size. */
import { createTemporaryCredentialsResponse } from '../../src/oauth1/index.js'
import { configureOAuth1 } from '../../src/oauth1/options.js'
import { callback, client, initiateUrl, signed, type OAuth1Server } from './support.js'

export interface Flood {
  readonly credentials: number
  /** From so many IPv4 addresses, in turn. */
  readonly addresses: number
}

/** What became of a flood. */
export interface Outcome {
  readonly issued: number
  /** Answered 503 with `Retry-After`. */
  readonly refused: number
  /** Bytes that the room for temporary credentials counts. */
  readonly used: number
}

/** Asks for temporary credentials, signed rightly, one after the other. Throws for any answer but 200 and a 503 with `Retry-After`. */
export async function fillWithTemporaryCredentials(server: OAuth1Server, { credentials, addresses }: Flood): Promise<Outcome> {
  let issued = 0
  let refused = 0
  for (let i = 0; i < credentials; i++) {
    const number = i % addresses
    const address = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`
    const request = signed(initiateUrl, client, { timestamp: server.now, protocol: { oauth_callback: callback } })
    const { status, headers } = await createTemporaryCredentialsResponse(server.options, { ...request, address })
    if (status === 200) issued++
    else if (status === 503 && headers['Retry-After'] !== undefined) refused++
    else throw new Error(`answered ${status}`)
  }
  return { issued, refused, used: configureOAuth1(server.options).temporaryRoom.used }
}
