/** What the test of rolling upgrades and its processes say to each other. */
import type { AuthorizationCodeRequest, ClientMetadata } from 'oauth2-token-handler'
import type { Entries } from './earlier-version.js'
import type { Address } from './store-of.js'

/** How access tokens are written; each is a server of its own, at `FORMAT.KIND.example`. */
export const formats = ['opaque', 'jwt', 'encrypted'] as const

/** What the process is started with, as JSON in its first argument. */
export interface RollingSettings {
  /** Where the version is; absent for today's. */
  readonly entries?: Entries
  readonly addresses: readonly Address[]
  readonly signingKey: string
  readonly encryptionKey: string
  /** A mistake that the test has to find. */
  readonly mistake?: 'newer format' | 'read, check, write'
}

/** What the process says when it is ready. */
export interface Ready {
  readonly port: number
  /** The names that the package exports. */
  readonly names: readonly string[]
}

/** What the application of a server does, posted to `/do`. */
export type Call =
  | { readonly name: 'code'; readonly request: AuthorizationCodeRequest }
  | { readonly name: 'save client'; readonly client: ClientMetadata & { readonly client_secret?: string } }
  | { readonly name: 'delete client'; readonly client_id: string }
  | { readonly name: 'revoke' | 'list'; readonly subject: string }
  | { readonly name: 'agree to OAuth 1' | 'revoke OAuth 1'; readonly oauth_token: string }

export const oauth1Client = { client_id: 'dpf43f3p2l4k3l03', client_secret: 'kd94hf93k423kf44' }
