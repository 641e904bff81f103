/**
 * A response that reaches nobody: for asking a function of the application, which may answer by itself, where nothing may be shown.
 *
 * It has what the framework gives its responses: on Express the methods, `req`, `app` and `locals` of the real one.
 */
import { ServerResponse, type IncomingMessage } from 'node:http'

/** A response beside the real one, without a connection. What is written to it is dropped; the real one stays as it is. */
export function silentResponse(req: IncomingMessage, res: ServerResponse): ServerResponse {
  const silent = new ServerResponse(req)
  if (!(res instanceof ServerResponse)) return silent
  const { locals } = res as { locals?: unknown }
  // Express gives every response the prototype of its application.
  Object.setPrototypeOf(silent, Object.getPrototypeOf(res) as object)
  return Object.assign(silent, { req }, locals === undefined ? {} : { locals })
}
