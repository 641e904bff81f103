/**
 * The Basic credentials in a request (RFC 7617), as RFC 6749 §2.3.1 wants them: id and secret are form-encoded first.
 *
 * An empty secret may be left out (§2.3.1), and an empty value is an omitted one (§3.2): a header with an id and no secret says who sends the request, as
 * `client_id` in the body does, and proves nothing.
 */
import { parse } from 'basic-auth'
import { decodeFormText, headerValue, type HeaderFields } from '../http/message.js'

/** Id and secret; the secret as it was sent, and decoded where that differs. */
export interface BasicCredentials {
  readonly client_id: string
  readonly secretReadings: readonly string[]
}

/** The credentials; undefined without a Basic header, `malformed` where it has none. Many clients leave the form-encoding out, so an id that cannot be decoded is taken as it is. */
export function basicCredentials(headers: HeaderFields): BasicCredentials | 'malformed' | undefined {
  const header = headerValue(headers, 'authorization')
  if (header === undefined || !/^ *basic(?: |$)/i.test(header)) return undefined
  const credentials = parse(header)
  if (credentials === undefined) return 'malformed'
  const { name, pass } = credentials
  const decoded = decodedOrRaw(pass)
  return { client_id: decodedOrRaw(name), secretReadings: decoded === pass ? [pass] : [pass, decoded] }
}

/** True for credentials without a secret. */
export function isWithoutSecret({ secretReadings }: BasicCredentials): boolean {
  return secretReadings[0] === ''
}

function decodedOrRaw(text: string): string {
  try {
    return decodeFormText(text)
  } catch {
    return text
  }
}
