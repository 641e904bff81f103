/**
 * Client metadata as strangers write them (RFC 7591 §2): in a registration request, or in a metadata document. One reader for both.
 *
 * 1. null and an empty text are absent, for every member; unknown members are dropped.
 * 2. Each text and each list has a bound. Texts that people read lose the characters that cannot be seen.
 * 3. `token_endpoint_auth_methods_supported` is a choice: one method that this server serves is enough.
 * 4. The scope of a stranger is a default within {@link StrangerRules.scopes}, which is what it may ask for later.
 */
import type { ClientMetadata } from './client.js'
import { isWebPage, redirectUriFault, storedRedirectUriFault } from './redirect-uri.js'
import { intersectScope, readScopeList, type Scope } from '../authorization/scope.js'
import { visibleText } from '../visible-text.js'

/** Members of a document before they are known to be right. */
export type ForeignMembers = Readonly<Partial<Record<string, unknown>>>

/** What strangers may be, here and now. */
export interface StrangerRules {
  /** The most scope that they may have. */
  readonly scopes: Scope
  /** The grants that this server serves. */
  readonly grantTypes: readonly string[]
  /** The ways to authenticate that they may use and this server serves. */
  readonly methods: readonly string[]
  /** The schemes without a dot that its redirection URIs may have; undefined for what was accepted earlier: a URI is then judged where it is used. */
  readonly privateUseSchemes: ReadonlySet<string> | undefined
  /** The method of one that names none. */
  readonly defaultMethod: string
  /** Refuse: the author is told of a mistake, in the answer. Drop: there is nobody to tell, and only what is needed has to be right. */
  readonly onMistake: 'refuse' | 'drop'
}

/** Everything that is known of a stranger, but for its id. */
export type StrangerMetadata = Omit<ClientMetadata, 'client_id' | 'client_secret' | 'secrets' | 'scope' | 'defaultScope'> & {
  readonly token_endpoint_auth_method: string
  readonly grant_types: readonly string[]
  readonly redirect_uris: readonly string[]
  /** What it may ask for. */
  readonly scope: Scope
  /** What it gets when it asks for nothing. */
  readonly defaultScope: Scope
}

/** Why metadata are refused. Holds nothing that a stranger wrote. */
export class MetadataFault extends Error {
  override readonly name = 'MetadataFault'
  /** The member that is wrong. */
  readonly member: string

  constructor(member: string, reason: string) {
    super(`${member} ${reason}`)
    this.member = member
  }
}

const longestText = 200
const longestUri = 2000
const longestScope = 2000
const mostRedirectUris = 20
const mostContacts = 10
const mostMethods = 20

/** @throws MetadataFault for the first member that is wrong. */
export function readStrangerMetadata(members: ForeignMembers, rules: StrangerRules): StrangerMetadata {
  const { scopes } = rules
  return {
    token_endpoint_auth_method: chooseMethod(members, rules),
    grant_types: readGrantTypes(members, rules),
    response_types: ['code'],
    redirect_uris: readRedirectUris(members, rules),
    ...shown(members, rules),
    scope: scopes,
    defaultScope: readDefaultScope(members, scopes),
  }
}

/** Whether a member says anything: null and an empty text are as good as absent. */
export function hasMember(members: ForeignMembers, name: string): boolean {
  return present(members, name) !== undefined
}

function present(members: ForeignMembers, name: string): unknown {
  const value = Object.hasOwn(members, name) ? members[name] : undefined
  return value === null || value === '' ? undefined : value
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length <= longest
}

function isListOfTexts(value: unknown, most: number, longest: number): value is readonly string[] {
  return Array.isArray(value) && value.length <= most && value.every((item) => item !== '' && isText(item, longest))
}

/** The registered names of methods: a name that is none of these is not repeated in an event. */
const methodNames: readonly string[] = [
  'none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth',
] // prettier-ignore

/** OpenID Connect RP Metadata Choices §2: a client may offer several methods. One is chosen. */
function chooseMethod(members: ForeignMembers, { methods, defaultMethod, onMistake }: StrangerRules): string {
  const named = present(members, 'token_endpoint_auth_method')
  const offered = present(members, 'token_endpoint_auth_methods_supported')
  if (named !== undefined && !isText(named, longestText)) throw new MetadataFault('token_endpoint_auth_method', 'is not a text')
  if (offered !== undefined && !isListOfTexts(offered, mostMethods, longestText))
    throw new MetadataFault('token_endpoint_auth_methods_supported', 'is not a list of texts')
  // A registration that contradicts itself is told so; a document that offers a choice is taken at it.
  if (onMistake === 'refuse' && named !== undefined && offered?.includes(named) === false)
    throw new MetadataFault('token_endpoint_auth_method', 'is not among token_endpoint_auth_methods_supported')
  const preferred = [named ?? defaultMethod, defaultMethod]
  const candidates = offered === undefined ? preferred.slice(0, 1) : [...preferred.filter((name) => offered.includes(name)), ...offered]
  const method = candidates.find((name) => methods.includes(name))
  if (method !== undefined) return method
  throw new MetadataFault(
    offered === undefined ? 'token_endpoint_auth_method' : 'token_endpoint_auth_methods_supported',
    `offers ${namesOf(candidates)}; for such clients this server serves ${namesOf(methods)}`,
  )
}

function namesOf(methods: readonly string[]): string {
  const names = [...new Set(methods.map((name) => (methodNames.includes(name) ? name : 'a method that is not registered')))]
  return names.length === 0 ? 'nothing' : names.join(', ')
}

/** A client that nobody has looked at acts for people who agree, and never for itself. */
function readGrantTypes(members: ForeignMembers, { grantTypes }: StrangerRules): readonly string[] {
  const wanted = present(members, 'grant_types') ?? ['authorization_code']
  if (!Array.isArray(wanted)) throw new MetadataFault('grant_types', 'is not a list')
  const types = ['authorization_code', 'refresh_token'].filter((type) => wanted.includes(type) && grantTypes.includes(type))
  if (!types.includes('authorization_code')) throw new MetadataFault('grant_types', 'has no authorization_code, or it is not served here')
  return types
}

function readRedirectUris(members: ForeignMembers, { privateUseSchemes: schemes }: StrangerRules): readonly string[] {
  const value = present(members, 'redirect_uris')
  const isList = isListOfTexts(value, mostRedirectUris, longestUri) && value.length > 0
  const faultOf = (uri: string) => (schemes === undefined ? storedRedirectUriFault(uri) : redirectUriFault(uri, schemes))
  if (isList && value.every((uri) => faultOf(uri) === undefined)) return value
  throw new MetadataFault('redirect_uris', 'must be a list of https, loopback or private-use URIs without fragment')
}

/**
 * What the client gets when it asks for nothing. It may ask for all that strangers may have: MCP clients name the scope of the first
 * challenge they meet, and come back for more (RFC 7591 §3.2.1 lets the server replace what was asked for).
 */
function readDefaultScope(members: ForeignMembers, scopes: Scope): Scope {
  const value = present(members, 'scope')
  if (value === undefined) return scopes
  const wanted = isText(value, longestScope) ? readScopeList(value) : undefined
  if (wanted === undefined) throw new MetadataFault('scope', 'is not scope (RFC 6749 §3.3)')
  const allowed = intersectScope(wanted, scopes)
  return allowed.length === 0 ? scopes : allowed
}

/** What reads one member for people: undefined where it is wrong. */
type ReadMember = (value: unknown) => string | readonly string[] | undefined

const readText: ReadMember = (value) => (isText(value, longestText) ? visibleText(value) : undefined)
const readUri: ReadMember = (value) => (isText(value, longestUri) && isWebPage(value) ? value : undefined)
const readContacts: ReadMember = (value) =>
  isListOfTexts(value, mostContacts, longestText) ? value.map(visibleText).filter((text) => text !== '') : undefined

const shownMembers: ReadonlyMap<string, ReadMember> = new Map([
  ['client_name', readText],
  ['client_uri', readUri],
  ['logo_uri', readUri],
  ['policy_uri', readUri],
  ['tos_uri', readUri],
  ['contacts', readContacts],
  ['software_id', readText],
  ['software_version', readText],
])

/** What is shown to people, or only kept for them. */
function shown(members: ForeignMembers, { onMistake }: StrangerRules): object {
  const known: [string, string | readonly string[]][] = []
  for (const [name, read] of shownMembers) {
    const value = present(members, name)
    if (value === undefined) continue
    const right = read(value)
    if (right === undefined && onMistake === 'refuse') throw new MetadataFault(name, 'is invalid')
    if (right !== undefined && right.length > 0) known.push([name, right])
  }
  return Object.fromEntries(known)
}
