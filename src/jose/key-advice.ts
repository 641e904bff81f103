/**
 * What is wrong with a text that should have been a key, as far as that can be said without the key: the mistakes that environment variables and
 * files make. No word of the text is in the advice.
 */

const advices: readonly (readonly [applies: (text: string) => boolean, advice: string])[] = [
  [(text) => /^\s*["']/.test(text), 'it begins with a quotation mark; remove the quotation marks around it'],
  // The first thing that happens to a PEM in an environment variable
  [
    (text) => text.includes('-----BEGIN') && text.includes('\\n'),
    "it has \\n as two characters in place of line breaks; use key.replaceAll('\\\\n', '\\n')",
  ],
  [(text) => /-----BEGIN (?:TRUSTED )?CERTIFICATE/.test(text), 'it is a certificate; use the private key that belongs to it'],
  [
    (text) => /-----BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(text),
    'it is encrypted; use createPrivateKey({ key, passphrase }) of node:crypto',
  ],
  [
    (text) => text.includes('-----BEGIN') && !text.trim().includes('\n'),
    "its line breaks are missing; keep them, or write them as \\n and use key.replaceAll('\\\\n', '\\n')",
  ],
  [(text) => text.includes('-----BEGIN') && !text.includes('-----END'), 'its end is missing: the line with -----END'],
  [(text) => /^\s*\{/.test(text), 'it is the JSON text of a JWK; use JSON.parse(key)'],
  // The base64 of "-----BEGIN"
  [(text) => text.trimStart().startsWith('LS0tLS1CRUdJTi'), "it is the base64 of a PEM; use Buffer.from(key, 'base64').toString()"],
  [
    (text) =>
      !text.includes('\n') && (/^(?:file:|~|\.{0,2}[/\\]|[a-z]:[/\\])/i.test(text) || /\.(?:pem|key|p8|der|jwk|json|crt)$/i.test(text)),
    "it looks like the path of a file; use readFileSync(path, 'utf8')",
  ],
]

/** `; ` and what to do; nothing where nothing is known. */
export function keyAdvice(input: unknown): string {
  if (input instanceof Uint8Array) return "; it is bytes: use readFileSync(path, 'utf8'), or the text of the buffer"
  if (typeof input !== 'string') return ''
  if (input.trim() === '') return '; it is empty: is the environment variable set?'
  const advice = advices.find(([applies]) => applies(input))?.[1]
  return advice === undefined ? '' : `; ${advice}`
}
