/**
 * Mistakes in mounting that show with a request: each is told once, and nothing is looked at after that. No word of a request is told: strangers write them.
 */
import type { IncomingMessage } from 'node:http'
import { pathOf } from './request-path.js'

/** What Express adds to a request. */
interface MountedRequest extends IncomingMessage {
  readonly originalUrl?: string | undefined
  readonly baseUrl?: unknown
  readonly route?: unknown
}

/** The server that is mounted. */
interface Mounted {
  readonly servedEndpoints: ReadonlySet<string>
  readonly issuer: string | undefined
  readonly warn: (message: string) => void
  readonly emit: (event: { readonly type: 'warning'; readonly reason: string }) => void
}

/** What a guard notices. */
export interface GuardWatch {
  /** A request without a token was refused. */
  readonly refused: (req: MountedRequest) => void
  /** A page of another origin has asked, and may. */
  readonly asked: (req: MountedRequest) => void
}

/** Looks at the requests of one guard. `tokenPath` is where the token endpoint of the same server is. */
export function watchGuard({ servedEndpoints, warn }: Pick<Mounted, 'servedEndpoints' | 'warn'>, tokenPath: string): GuardWatch {
  let isTold = false
  let isSeen = false
  return {
    refused(req) {
      if (isTold || req.method !== 'POST' || !servedEndpoints.has('token')) return
      if (pathOf(req.originalUrl ?? req.url ?? '') !== tokenPath) return
      isTold = true
      warn(
        'requireAccessToken stands before the token endpoint, and refuses everybody who comes for a first token; mount it behind the endpoints, or on the routes that need a token',
      )
    },
    asked({ route }) {
      if (isSeen) return
      isSeen = true
      const methods: unknown = typeof route === 'object' && route !== null && 'methods' in route ? route.methods : undefined
      if (typeof methods !== 'object' || methods === null || 'options' in methods || '_all' in methods) return
      warn(
        'requireAccessToken with the option cors stands on a route that OPTIONS does not reach, so browsers get no answer to their preflight; mount it with app.use(path, …) or app.all(path, …)',
      )
    },
  }
}

/** Says once that a whole server was mounted under a path, where its documents are not found. `mount` is the path of the issuer as it arrives. */
export function watchMount({ warn }: Pick<Mounted, 'warn'>, mount: string): (req: MountedRequest) => void {
  let isSeen = false
  return function noteMount({ baseUrl }) {
    if (isSeen || typeof baseUrl !== 'string') return
    isSeen = true
    if (baseUrl === '') return
    // A path with parameters has words of the request in it.
    const where = baseUrl === mount ? baseUrl : 'a path'
    warn(
      `authorizationServer was mounted under ${where}, where its metadata are not found; mount it at the root, app.use(authorizationServer(…)): the path of the issuer says the rest`,
    )
  }
}

/** Tells once, as an event and outside production, that the metadata are asked for under another host than the issuer's. */
export function watchHost({ emit, issuer }: Pick<Mounted, 'emit' | 'issuer'>): (req: MountedRequest) => void {
  let isSeen = process.env.NODE_ENV === 'production' || issuer === undefined
  const host = issuer === undefined ? '' : new URL(issuer).host
  return function noteHost({ headers }) {
    if (isSeen || (headers['x-forwarded-host'] ?? headers.host) === host) return
    isSeen = true
    const reason = `the metadata of the issuer ${host} were asked for under another host; where no proxy did that, set the option issuer to the URL that clients know`
    emit({ type: 'warning', reason })
  }
}
