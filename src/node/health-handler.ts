/** The health of the server for load balancers, as a handler. Not a part of `authorizationServer`: the application says where it is, and to whom. */
import { createHealthResponse } from '../endpoints/health.js'
import { configure } from '../configuration/configure.js'
import type { Handler } from './host.js'
import type { ServerOptions } from '../configuration/options.js'
import { requestHead, send } from './wire.js'

/**
 * Answers 200 `{"status":"ok"}` where this process can work, else 503 `{"status":"unavailable"}`: while the option `available` says false, and while the
 * store cannot do its work. Why is an event, and a line on the console where nobody listens; never on the wire. The store is asked once a second at the
 * most, however often this is asked. Answers GET and HEAD over plain http too, as load balancers ask.
 *
 * Mount it where you like: `app.use('/health', healthHandler(options))`. It never calls `next`.
 *
 * @throws ConfigurationError when the options are wrong.
 */
export function healthHandler(options: ServerOptions): Handler {
  configure(options)
  return function handleHealth(req, res, _next): void {
    void createHealthResponse(options, requestHead(req)).then((response) => {
      send(res, response)
    })
  }
}
