/** A function of the application that neither answers a request nor says what to do leaves a browser waiting, and nobody is told. Here somebody is. */
import type { ServerResponse } from 'node:http'

/** Calls `tell` unless the response has begun, or nobody waits for it any more, within that many milliseconds. The response stays the application's. */
export function watchForAnswer(res: ServerResponse, timeout: number, tell: () => void): () => void {
  const timer = setTimeout(() => {
    if (!res.headersSent && !res.destroyed && !res.writableEnded) tell()
  }, timeout)
  timer.unref()
  const stop = () => {
    clearTimeout(timer)
  }
  res.once('close', stop)
  return stop
}
