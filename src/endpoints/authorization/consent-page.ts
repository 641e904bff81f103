/**
 * The pages of the authorization endpoint: the question to the resource owner, and the error that cannot be sent to anybody.
 *
 * Plain HTML that needs no script, reads well aloud, and follows the person's choice of dark or light.
 */
import { createHash } from 'node:crypto'
import { assertKnownKeys, assertObject, OptionReader } from '../../option-checks/reader.js'
import type { ProtocolResponse } from '../../http/message.js'
import { visibleText } from '../../visible-text.js'
import type { AuthorizationRequest } from './request.js'

/** What the pages say. `{client}` stands for the name of the client, `{host}` for where the answer goes, `{publisher}` for the host of a metadata document. */
export interface ConsentTexts {
  /** The language of the texts. Default `en`. */
  readonly lang: string
  readonly title: string
  readonly question: string
  /** Only for a client that is a metadata document: whose it is. */
  readonly publisher: string
  readonly scopes: string
  readonly resources: string
  readonly destination: string
  readonly loopback: string
  readonly allow: string
  readonly deny: string
  /** Where an answer could not be confirmed, and the person is asked again. */
  readonly askedAgain: string
  readonly errorTitle: string
  readonly errorAdvice: string
  /** Before the link to a client that nobody here knows. `{host}` is where it leads. */
  readonly errorDestination: string
  readonly errorLink: string
}

/** The texts unless the application has its own. */
export const englishTexts: ConsentTexts = {
  lang: 'en',
  title: 'Allow access?',
  question: '{client} asks for access to your account.',
  publisher: 'This application is published by {publisher}.',
  scopes: 'It will be able to:',
  resources: 'It will be used at:',
  destination: 'If you allow it, you will be taken to {host}.',
  loopback: 'This application runs on your own device. Allow it only if you have just started it yourself.',
  allow: 'Allow',
  deny: 'Deny',
  askedAgain:
    'Your answer was not accepted, because it did not come from this page as it is now. Please decide again. Cookies must be allowed.',
  errorTitle: 'This link does not work',
  errorAdvice: 'Go back to the application and try again. If that does not help, tell the people who made it.',
  errorDestination: 'The link below leads to {host}. The application there has registered itself, and nobody here has checked it.',
  errorLink: 'Go back to the application',
}

/** @throws ConfigurationError for texts that are none, or that no page has. */
export function readTexts(texts: unknown, name: string): ConsentTexts {
  const members = assertObject(texts ?? {}, name)
  assertKnownKeys(members, Object.keys(englishTexts), name)
  const reader = new OptionReader(members, `${name}.`)
  const translated = Object.entries(englishTexts).map(([key, text]) => [key, reader.text(key) ?? text] as const)
  return { ...englishTexts, ...Object.fromEntries(translated) }
}

const style = `
:root{color-scheme:light dark;--edge:#767676;--strong:#0b57d0;--on-strong:#fff}
@media (prefers-color-scheme:dark){:root{--edge:#8e8e8e;--strong:#a8c7fa;--on-strong:#062e6f}}
*{box-sizing:border-box}
body{margin:0;font:1.0625rem/1.5 system-ui,sans-serif;background:Canvas;color:CanvasText}
main{max-width:30rem;margin:0 auto;padding:3rem 1.25rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}
h2{font-size:1rem;margin:1.5rem 0 .25rem}
ul{margin:.25rem 0 0;padding-left:1.25rem}
strong,li{overflow-wrap:anywhere}
.note{border-left:.25rem solid var(--edge);padding-left:.75rem}
a{color:var(--strong)}
form{display:flex;flex-wrap:wrap;gap:.75rem;margin-top:2rem}
button{flex:1 1 8rem;min-height:2.75rem;font:inherit;font-weight:600;border:1px solid var(--edge);border-radius:.5rem;background:Canvas;color:CanvasText;cursor:pointer}
button.allow{background:var(--strong);border-color:var(--strong);color:var(--on-strong)}
button:focus-visible{outline:3px solid var(--strong);outline-offset:2px}
`

/** What the form of the package's own page proves: see `confirmation.ts`. */
export interface PageProof {
  readonly confirmation: string
  readonly agreement: string
}

/** The question. Its form posts back to the address of the page. */
export function consentPage(request: AuthorizationRequest, proof: PageProof, texts: ConsentTexts): ProtocolResponse {
  const { client, scope, resource } = request
  const { name, redirectHost, documentHost = '' } = client
  const filled = (text: string) => fill(text, { client: name, host: redirectHost, publisher: documentHost })
  return page(200, texts, texts.title, [
    request.isAskedAgain ? `<p class="note" role="status">${escapeHtml(texts.askedAgain)}</p>` : '',
    `<p>${filled(texts.question)}</p>`,
    documentHost === '' ? '' : `<p>${filled(texts.publisher)}</p>`,
    listOf(texts.scopes, scope),
    listOf(texts.resources, resource),
    `<p>${filled(texts.destination)}</p>`,
    client.isLoopbackOnly ? `<p class="note">${escapeHtml(texts.loopback)}</p>` : '',
    '<form method="post">',
    `<input type="hidden" name="confirmation" value="${escapeHtml(proof.confirmation)}">`,
    `<input type="hidden" name="agreement" value="${escapeHtml(proof.agreement)}">`,
    `<button type="submit" name="decision" value="deny">${escapeHtml(texts.deny)}</button>`,
    `<button type="submit" name="decision" value="allow" class="allow">${escapeHtml(texts.allow)}</button>`,
    '</form>',
  ])
}

/** The error for a client or redirection URI that is not known: it must not be sent anywhere (RFC 6749 §4.1.2.1). */
export function errorPage(status: number, description: string, texts: ConsentTexts): ProtocolResponse {
  return page(status, texts, texts.errorTitle, [`<p>${escapeHtml(description)}.</p>`, `<p>${escapeHtml(texts.errorAdvice)}</p>`])
}

/**
 * The error for a client of strangers before anybody has agreed or is logged in (RFC 9700 §4.11.2): the server leads nobody to such a place by itself. The
 * page says where its link leads.
 */
export function strangersErrorPage(status: number, description: string, { host, url }: ErrorLink, texts: ConsentTexts): ProtocolResponse {
  return page(status, texts, texts.errorTitle, [
    `<p>${escapeHtml(description)}.</p>`,
    `<p>${fill(texts.errorDestination, { host })}</p>`,
    `<p><a href="${escapeHtml(url)}" rel="noreferrer noopener">${fill(texts.errorLink, { host })}</a></p>`,
  ])
}

/** The link of an error page. */
export interface ErrorLink {
  readonly host: string
  /** The redirection URI with the error. */
  readonly url: string
}

/** A text with its placeholders filled. dir="auto" isolates: a name cannot turn the direction of the text around it. */
function fill(text: string, values: Readonly<Partial<Record<'client' | 'host' | 'publisher', string>>>): string {
  return escapeHtml(text).replaceAll(/\{(client|host|publisher)\}/g, (placeholder, name: 'client' | 'host' | 'publisher') => {
    const value = values[name]
    return value === undefined ? placeholder : `<strong dir="auto">${escapeHtml(visibleText(value))}</strong>`
  })
}

function listOf(heading: string, items: readonly string[]): string {
  if (items.length === 0) return ''
  return `<h2>${escapeHtml(heading)}</h2><ul>${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`
}

function page(status: number, { lang }: ConsentTexts, title: string, content: readonly string[]): ProtocolResponse {
  const body = [
    '<!doctype html>',
    `<html lang="${escapeHtml(lang)}"><head><meta charset="utf-8">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(title)}</title><style>${style}</style></head>`,
    `<body><main><h1>${escapeHtml(title)}</h1>`,
    ...content.filter((line) => line !== ''),
    '</main></body></html>',
  ].join('\n')
  return { status, headers: { ...pageHeaders, 'Content-Type': 'text/html; charset=utf-8' }, body }
}

/** What every answer of the authorization endpoint carries, a page of the application's own too: RFC 9700 §4.2, §4.16. */
export const protectiveHeaders: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Content-Security-Policy': "frame-ancestors 'none'",
}

const pageHeaders = {
  ...protectiveHeaders,
  'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`,
}

function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}
