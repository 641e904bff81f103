/** The memory store as the default: what a deployer is told. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { memoryStore } from '../../src/index.js'
import { start, testServer } from '../support/server.js'

describe('as the default', () => {
  const environment = process.env.NODE_ENV
  const warned = jest.spyOn(console, 'warn').mockImplementation(() => {})

  beforeEach(() => {
    warned.mockClear()
  })
  afterEach(() => {
    process.env.NODE_ENV = environment
  })

  const line =
    'no store is configured: tokens are kept in memory, end with this process, and are unknown to any other; set the option store'

  test('in production it warns, once, on the console and as an event', async () => {
    process.env.NODE_ENV = 'production'
    const server = testServer()
    await server.code()
    await server.code()
    expect(warned.mock.calls).toEqual([[`oauth2-token-handler: ${line}`]])
    expect(server.events.filter(({ type }) => type === 'warning')).toEqual([{ type: 'warning', reason: line, at: start }])
  })

  test('elsewhere, or where it was chosen, it does not', async () => {
    await testServer().code()
    process.env.NODE_ENV = 'production'
    await testServer({ store: memoryStore({ clock: () => start }) }).code()
    expect(warned).not.toHaveBeenCalled()
  })
})
