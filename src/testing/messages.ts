/** What a process of the checks and the child that holds one of its stores say to each other. */

/** The verbs that can be called in another process. */
export type RemoteVerb = 'get' | 'create' | 'replace'

/** One call of a verb. */
export interface RemoteCall {
  readonly number: number
  readonly verb: RemoteVerb
  readonly arguments: readonly unknown[]
}

/** What the child says: once that it is ready, or why it is not; then the answer of each call as JSON, absent for undefined, or what it threw. */
export type ChildMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'answer'; readonly number: number; readonly answer?: string | undefined }
  | { readonly type: 'thrown'; readonly number: number; readonly reason: string }
