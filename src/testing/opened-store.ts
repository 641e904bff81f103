/** A store as a factory hands it over: alone, or with what closes it. */
import type { Store } from '../stores/store.js'

/** A store, and what to do when a test has finished with it. */
export interface StoreUnderTest {
  readonly store: Store
  readonly close?: () => unknown
}

/** The store that a factory made, in one form. */
export function asStoreUnderTest(made: Store | StoreUnderTest): StoreUnderTest {
  return 'store' in made ? made : { store: made }
}
