/** One mistake of a newcomer, and everything that anybody is told about it: what is thrown, the console, the events, and the wire. */
import { jest } from '@jest/globals'
import { OAuthError, type ServerEvent, type ServerOptions } from '../../src/index.js'
import { machine, native, web } from '../support/server.js'

/** What a mistake gets: a place for events, and the options of a server that is right otherwise. */
export interface Place {
  readonly onEvent: (event: ServerEvent) => void
  /** The options of a server without fault, with these in their place. */
  readonly oauth: (wrong?: object) => ServerOptions
  /** Notes what the wire says. */
  readonly wire: (answer: string) => void
}

export interface Mistake {
  readonly what: string
  /** What the messages must name: the option, the parameter, the function. */
  readonly names: string
  readonly make: (place: Place) => unknown
}

/** What a mistake was answered with, one line each. */
export interface Told {
  readonly thrown: readonly string[]
  readonly console: readonly string[]
  readonly events: readonly ServerEvent[]
  readonly wire: readonly string[]
}

/** Makes the mistake, and hears what is said. */
export async function tellOf({ make }: Mistake): Promise<Told> {
  const told = { thrown: [] as string[], console: [] as string[], events: [] as ServerEvent[], wire: [] as string[] }
  const spies = (['warn', 'error', 'log'] as const).map((name) =>
    jest.spyOn(console, name).mockImplementation((...words: unknown[]) => void told.console.push(words.map(String).join(' '))),
  )
  const onEvent = (event: ServerEvent) => {
    if (['warning', 'request.refused', 'request.failed'].includes(event.type)) told.events.push(event)
  }
  const oauth = (wrong: object = {}): ServerOptions => ({
    issuer: 'https://auth.example',
    clients: [web, machine, native],
    scopes: ['read', 'write'],
    onEvent,
    ...wrong,
  })
  try {
    await make({ onEvent, oauth, wire: (answer) => told.wire.push(answer) })
  } catch (thrown) {
    told.thrown.push(thrown instanceof Error ? thrownText(thrown) : String(thrown))
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return told
}

/** All lines, each once: an event that repeats the console says nothing new. */
export function linesOf({ thrown, console: printed, events, wire }: Told): readonly string[] {
  const heard = [...thrown, ...printed]
  const more = events.filter(({ reason = '' }) => !heard.some((line) => line.endsWith(reason)))
  return [...heard, ...more.map((event) => `event: ${textOf(event)}`), ...wire.map((line) => `wire: ${line}`)].map(steady)
}

/** As Node.js prints it: an OAuthError has its reason and its facts beside the message. */
function thrownText(thrown: Error): string {
  const { name, message } = thrown
  if (!(thrown instanceof OAuthError)) return `${name}: ${message}`
  const facts = Object.entries(thrown.facts ?? {}).map(([fact, value]) => `${fact}: ${String(value)}`)
  return [`${name}: ${message}`, ...(thrown.reason === undefined ? [] : [thrown.reason]), ...facts].join(' · ')
}

/** Which request, why, what helps; and the fields that name what was asked for. */
function textOf(event: ServerEvent): string {
  const { type, error, client_id, reason, remedy } = event
  const fields = (['grant_type', 'scope', 'allowed', 'redirect_uri', 'registered', 'token_client_id'] as const).flatMap((name) =>
    event[name] === undefined ? [] : [`${name}: ${event[name]}`],
  )
  return [type, error, client_id, reason, remedy, ...fields].filter((word) => word !== undefined).join(' · ')
}

/** Without what differs from run to run. */
function steady(line: string): string {
  return line
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

/** Mistakes in one kind of place: what, what must be named, and how it is made. */
export function mistakes(where: string, list: readonly (readonly [what: string, names: string, make: Mistake['make']])[]): Mistake[] {
  return list.map(([what, names, make]) => ({ what: `${where}: ${what}`, names, make }))
}
