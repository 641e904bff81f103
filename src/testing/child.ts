/**
 * The program of a child process of `testStoreAcrossProcesses`: it imports the module that its argument names, opens the store by the
 * exported `createStore()`, and calls its verbs as it is told. It ends when its parent lets go of it or is gone.
 */
import type { Store, StoredRecord } from '../stores/store.js'
import type { ChildMessage, RemoteCall } from './messages.js'
import { asStoreUnderTest, type StoreUnderTest } from './opened-store.js'

function tell(message: ChildMessage): void {
  // A parent that is gone needs no answer.
  process.send?.(message, undefined, undefined, () => undefined)
}

function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
}

async function open(url: string): Promise<StoreUnderTest> {
  const { createStore } = (await import(url)) as { readonly createStore?: () => Store | StoreUnderTest | Promise<Store | StoreUnderTest> }
  if (typeof createStore !== 'function') throw new TypeError(`${url} exports no function createStore`)
  return asStoreUnderTest(await createStore())
}

async function perform(store: Store, { verb, arguments: [first, second] }: RemoteCall): Promise<unknown> {
  if (verb === 'get') return store.get(first as string)
  return verb === 'create' ? store.create(first as StoredRecord) : store.replace(first as StoredRecord, second as string)
}

const opening = open(process.argv[2] ?? '')

process.on('message', (call: RemoteCall) => {
  void opening
    .then(({ store }) => perform(store, call))
    .then(
      (answer) => tell({ type: 'answer', number: call.number, answer: JSON.stringify(answer) }),
      (thrown: unknown) => tell({ type: 'thrown', number: call.number, reason: reasonOf(thrown) }),
    )
})
process.on('disconnect', () => {
  void opening
    .then(({ close }) => close?.())
    .catch(() => undefined)
    .then(() => process.exit())
})
opening.then(
  () => tell({ type: 'ready' }),
  (thrown: unknown) => tell({ type: 'failed', reason: reasonOf(thrown) }),
)
