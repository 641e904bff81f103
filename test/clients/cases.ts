/** Client ids and secrets with every character that an encoding of Basic credentials can get wrong (RFC 6749 §2.3.1, Appendix A.1, A.2). */

/** Each is an id and, with a little UTF-8 added, a secret. */
export const awkward: readonly string[] = [
  'with-hyphen',
  'with_underscore',
  'with:colon:s',
  'with+plus',
  'with%percent',
  'with%2Bescape',
  'with space',
  "-_:+% .!~*'()&=?/",
]

export function secretFor(client_id: string): string {
  return `${client_id} schlüssel 鍵 🔑 0123456789`
}
