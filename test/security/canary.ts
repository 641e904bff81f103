/** Finding a secret in whatever was said, in the forms in which secrets travel. */
import { isLong } from './sizes.js'

/** The text without what depends on what stands around it: base64 writes a text in three ways, by its position. */
function base64Forms(secret: string, encoding: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((offset) => {
    const encoded = Buffer.from(' '.repeat(offset) + secret).toString(encoding).replace(/=+$/, '') // prettier-ignore
    return encoded.slice(offset === 0 ? 0 : offset + 1, -1)
  })
}

function formsOf(secret: string): string[] {
  const short = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    formEncoded(secret),
    ...base64Forms(secret, 'base64url'),
  ]
  if (!isLong) return short
  const hex = Buffer.from(secret).toString('hex')
  return [...short, ...base64Forms(secret, 'base64'), hex, hex.toUpperCase(), Array.from(secret).reverse().join('')]
}

function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

/** Those of the secrets that stand in a text, in one form or another, with the place. */
export function findSecrets(secrets: Iterable<string>, text: string): string[] {
  return [...secrets].flatMap((secret) =>
    formsOf(secret)
      .filter((form) => text.includes(form))
      .map((form) => `${form} in …${text.slice(Math.max(0, text.indexOf(form) - 60), text.indexOf(form) + form.length)}`),
  )
}
