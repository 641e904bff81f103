/** The contract of a store under node:test: the memory store's, or that of the broken store which BROKEN_STORE names. */
import { describe, test } from 'node:test'
import { memoryStore } from '../../src/index.js'
import { testStore } from '../../src/testing.js'
import { brokenStores } from './stores-with-a-fault.js'

const fault = process.env.BROKEN_STORE
const store = fault === undefined ? memoryStore() : brokenStores[fault]?.make()
if (store === undefined) throw new Error(`there is no broken store that ${fault}`)
testStore('a store', () => store, { describe, test })
