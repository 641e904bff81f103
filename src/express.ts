/**
 * Types only: `import 'oauth2-token-handler/express'` gives the requests of Express the member `auth`, which `requireAccessToken` sets.
 *
 * It is an entry of its own because it changes a global type, which an application decides for itself. At run time it does nothing.
 */
// Under another name: with @types/passport the namespace has an AuthInfo of its own.
import type { AuthInfo as TokenInfo } from './node/handlers.js'

declare global {
  // eslint-disable-next-line @typescript-eslint/no-namespace -- @types/express, 4 and 5, has this interface for others to extend
  namespace Express {
    interface Request {
      /** The access token of the request, behind `requireAccessToken`. Undefined on every other route, and without a token where the guard is optional. Behind `requireOAuth1` it is an `OAuth1Info`. */
      auth?: TokenInfo
    }
  }
}
