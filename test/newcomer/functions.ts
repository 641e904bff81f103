/** Mistakes with the functions of the package: nothing, the wrong thing, or the right things in the wrong order. */
import express from 'express'
import { generateKeyPairSync } from 'node:crypto'
import {
  authorizationHandler,
  authorizationResponse,
  authorizationServer,
  bearerHeader,
  createTokenResponse,
  deleteClient,
  findClient,
  grantResponse,
  hashClientSecret,
  introspectionHandler,
  issueAuthorizationCode,
  issueTokens,
  jwksHandler,
  jwt,
  listAuthorizations,
  macHeader,
  memoryStore,
  metadataHandler,
  protectedResourceHandler,
  pushedAuthorizationHandler,
  registerClient,
  registrationHandler,
  requireAccessToken,
  revocationHandler,
  revokeAuthorizations,
  saveClient,
  tokenHandler,
  tokenVerifier,
  validateTokenRequest,
} from '../../src/index.js'
import {
  oauth1TokenGrant,
  requireOAuth1,
  sealClientSecret,
  temporaryCredentialsHandler,
  tokenCredentialsHandler,
} from '../../src/oauth1/index.js'
import { postgresStore } from '../../src/stores/postgres.js'
import { redisStore } from '../../src/stores/redis.js'
import { sqliteStore } from '../../src/stores/sqlite.js'
import { testStore, testStoreAcrossProcesses } from '../../src/testing.js'
import { machine, redirect_uri, web } from '../support/server.js'
import { mistakes, type Mistake } from './mistake.js'

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const wrong = (value: unknown) => value as never
const authorize = () => ({ subject: 'alice' })

type Row = readonly [string, string, Mistake['make']]

/** Each handler and function, called with nothing. */
const factories = {
  tokenHandler, revocationHandler, introspectionHandler, pushedAuthorizationHandler, jwksHandler, metadataHandler, protectedResourceHandler,
  registrationHandler, requireAccessToken, tokenVerifier, authorizationServer, temporaryCredentialsHandler, tokenCredentialsHandler, requireOAuth1, oauth1TokenGrant,
  authorizationHandler, issueTokens, issueAuthorizationCode, authorizationResponse, listAuthorizations, revokeAuthorizations, saveClient, registerClient,
} as Record<string, (...values: never[]) => unknown> // prettier-ignore

export const missingMistakes: readonly Mistake[] = [
  ...mistakes('nothing', Object.entries(factories).map(([name, make]): Row => [`${name}()`, name, () => make()])), // prettier-ignore
  ...mistakes(
    'the application',
    Object.entries(factories)
      .slice(0, 11)
      .map(([name, make]): Row => [`${name}(app)`, name, () => make(wrong(express()))]),
  ),
]

export const functionMistakes: readonly Mistake[] = mistakes('functions', [
  ['the name of an environment for the options', 'tokenHandler', () => tokenHandler(wrong('production'))],
  ['a list of clients for the options', 'tokenHandler', () => tokenHandler(wrong([web]))],
  ['authorizationServer without its parts', 'authorize', ({ oauth }) => authorizationServer(oauth(), wrong(undefined))],
  ['authorizationServer with an empty second argument', 'authorize', ({ oauth }) => authorizationServer(oauth(), wrong({}))],
  [
    'authorizationServer with authorize among the options',
    'authorize',
    ({ oauth }) => authorizationServer(oauth({ authorize }), wrong({})),
  ],
  ['authorizationServer with the function alone', 'authorize', ({ oauth }) => authorizationServer(oauth(), wrong(authorize))],
  [
    'authorizationServer with its arguments swapped',
    'authorizationServer',
    ({ oauth }) => authorizationServer(wrong({ authorize }), wrong(oauth())),
  ],
  ['authorizationServer without issuer', 'issuer', ({ oauth }) => authorizationServer(oauth({ issuer: undefined }), { authorize })],
  ['authorizationServer with login', 'authorize', ({ oauth }) => authorizationServer(oauth(), wrong({ login: authorize }))],
  [
    'authorizationServer with clients in its parts',
    'clients',
    ({ oauth }) => authorizationServer(oauth(), wrong({ authorize, clients: [] })),
  ],
  [
    'authorizationServer with registration as a text',
    'registration',
    ({ oauth }) => authorizationServer(oauth(), wrong({ authorize, registration: 'open' })),
  ],
  [
    'authorizationServer with a mountPath without slash',
    'mountPath',
    ({ oauth }) => authorizationServer(oauth(), { authorize, mountPath: 'auth' }),
  ],
  [
    'authorizationServer with a text that is none',
    'texts',
    ({ oauth }) => authorizationServer(oauth(), wrong({ authorize, texts: { titel: 'Anmeldung' } })),
  ],
  [
    'authorizationServer with openidConfiguration as a text',
    'openidConfiguration',
    ({ oauth }) => authorizationServer(oauth(), wrong({ authorize, openidConfiguration: 'yes' })),
  ],
  ['authorizationHandler without authorize', 'authorize', ({ oauth }) => authorizationHandler(oauth(), wrong(undefined))],
  ['authorizationHandler with an object', 'authorize', ({ oauth }) => authorizationHandler(oauth(), wrong({ authorize }))],
  [
    'authorizationHandler with its arguments swapped',
    'authorizationHandler',
    ({ oauth }) => authorizationHandler(wrong(authorize), wrong(oauth())),
  ],
  ['requireAccessToken with a scope misspelt', 'raed', ({ oauth }) => requireAccessToken(oauth(), { scope: 'raed' })],
  ['requireAccessToken with a scope as second argument', 'scope', ({ oauth }) => requireAccessToken(oauth(), wrong('read'))],
  ['requireAccessToken with a list as second argument', 'scope', ({ oauth }) => requireAccessToken(oauth(), wrong(['read']))],
  ['requireAccessToken with scopes', 'scope', ({ oauth }) => requireAccessToken(oauth(), wrong({ scopes: ['read'] }))],
  ['requireAccessToken with a comma', 'scope', ({ oauth }) => requireAccessToken(oauth(), { scope: 'read, write' })],
  [
    'requireAccessToken with its arguments swapped',
    'requireAccessToken',
    ({ oauth }) => requireAccessToken(wrong({ scope: 'read' }), wrong(oauth())),
  ],
  [
    'requireAccessToken with a resource that is none',
    'resources',
    ({ oauth }) => requireAccessToken(oauth(), { resource: 'https://api.example' }),
  ],
  [
    'requireAccessToken with resource and audience',
    'audience',
    ({ oauth }) => requireAccessToken(oauth({ resources: ['https://api.example'] }), { resource: 'https://api.example', audience: 'x' }),
  ],
  ['requireAccessToken with optional as a text', 'optional', ({ oauth }) => requireAccessToken(oauth(), wrong({ optional: 'true' }))],
  [
    'requireAccessToken with an origin with a path',
    'origin',
    ({ oauth }) => requireAccessToken(oauth(), { origin: 'https://api.example/v1' }),
  ],
  [
    'requireAccessToken for MAC without a place',
    'origin',
    ({ oauth }) => requireAccessToken(oauth({ authenticationMethod: 'mac', issuer: undefined })),
  ],
  ['tokenVerifier with a text for invalidToken', 'invalidToken', ({ oauth }) => tokenVerifier(oauth(), wrong({ invalidToken: 'no' }))],
  ['metadataHandler without issuer', 'issuer', ({ oauth }) => metadataHandler(oauth({ issuer: undefined }))],
  ['metadataHandler with a computed member', 'issuer', ({ oauth }) => metadataHandler(oauth(), { extra: { issuer: 'https://x.example' } })],
  [
    'metadataHandler with members beside extra',
    'extra',
    ({ oauth }) => metadataHandler(oauth(), wrong({ service_documentation: 'https://x.example' })),
  ],
  ['metadataHandler with a maxAge with a unit', 'maxAge', ({ oauth }) => metadataHandler(oauth(), wrong({ maxAge: '1h' }))],
  ['jwksHandler with opaque tokens', 'jwt({ key })', ({ oauth }) => jwksHandler(oauth())],
  ['jwksHandler with the keys', 'maxAge', ({ oauth }) => jwksHandler(oauth({ accessTokens: jwt({ key }) }), wrong({ keys: [] }))],
  ['protectedResourceHandler without resources', 'resources', ({ oauth }) => protectedResourceHandler(oauth())],
  [
    'protectedResourceHandler with one that is none',
    'resources',
    ({ oauth }) => protectedResourceHandler(oauth({ resources: ['https://api.example'] }), { resource: 'https://other.example' }),
  ],
  ['registrationHandler with true', 'registrationHandler', ({ oauth }) => registrationHandler(oauth(), wrong(true))],
  [
    'registrationHandler with a method of its own',
    'defaultAuthMethod',
    ({ oauth }) => registrationHandler(oauth(), wrong({ defaultAuthMethod: 'private_key_jwt' })),
  ],
  ['registrationHandler with accept that is true', 'accept', ({ oauth }) => registrationHandler(oauth(), wrong({ accept: true }))],
  ['registrationHandler with no registration a minute', 'perMinute', ({ oauth }) => registrationHandler(oauth(), { perMinute: 0 })],
  [
    'registrationHandler with an empty initialAccessToken',
    'initialAccessToken',
    ({ oauth }) => registrationHandler(oauth(), { initialAccessToken: '' }),
  ],
  ['issueTokens without whom', 'issueTokens', ({ oauth }) => issueTokens(oauth(), wrong(undefined))],
  ['issueTokens for a numeric id', 'subject', ({ oauth }) => issueTokens(oauth(), wrong({ client_id: 'web', subject: 42 }))],
  ['issueTokens for nobody', 'subject', ({ oauth }) => issueTokens(oauth(), wrong({ client_id: 'web', subject: undefined }))],
  ['issueTokens with userId', 'subject', ({ oauth }) => issueTokens(oauth(), wrong({ client_id: 'web', userId: 'alice' }))],
  [
    'issueTokens with a lifetime with a unit',
    'lifetime',
    ({ oauth }) => issueTokens(oauth(), wrong({ client_id: 'web', subject: 'alice', lifetime: '1h' })),
  ],
  ['issueTokens for a client that is none', 'client', ({ oauth }) => issueTokens(oauth(), { client_id: 'nobody', subject: 'alice' })],
  [
    'issueTokens with a scope that is none',
    'scope',
    ({ oauth }) => issueTokens(oauth(), { client_id: 'web', subject: 'alice', scope: 'raed' }),
  ],
  [
    'issueTokens with its arguments swapped',
    'issueTokens',
    ({ oauth }) => issueTokens(wrong({ client_id: 'web', subject: 'alice' }), wrong(oauth())),
  ],
  [
    'issueAuthorizationCode for a numeric id',
    'subject',
    ({ oauth }) => issueAuthorizationCode(oauth(), wrong({ client_id: 'web', redirect_uri, subject: 42 })),
  ],
  [
    'issueAuthorizationCode for a promise',
    'subject',
    ({ oauth }) => issueAuthorizationCode(oauth(), wrong({ client_id: 'web', redirect_uri, subject: Promise.resolve('alice') })),
  ],
  [
    'issueAuthorizationCode with another redirect_uri',
    'redirect_uri',
    ({ oauth }) => issueAuthorizationCode(oauth(), { client_id: 'web', redirect_uri: `${redirect_uri}/`, subject: 'alice' }),
  ],
  [
    'issueAuthorizationCode without a challenge',
    'code_challenge',
    ({ oauth }) => issueAuthorizationCode(oauth(), { client_id: 'web', redirect_uri, subject: 'alice' }),
  ],
  [
    'authorizationResponse for a session without a person',
    'subject',
    ({ oauth }) => authorizationResponse(oauth(), { client_id: 'web', redirect_uri, subject: undefined }),
  ],
  [
    'authorizationResponse for a numeric id',
    'subject',
    ({ oauth }) => authorizationResponse(oauth(), wrong({ client_id: 'web', redirect_uri, subject: 42 })),
  ],
  [
    'authorizationResponse for a foreign redirect_uri',
    'redirect_uri',
    ({ oauth }) => authorizationResponse(oauth(), { client_id: 'web', redirect_uri: 'https://evil.example/steal', subject: 'alice' }),
  ],
  ['authorizationResponse without a request', 'authorizationResponse', ({ oauth }) => authorizationResponse(oauth(), wrong(undefined))],
  ['revokeAuthorizations of everybody', 'subject', ({ oauth }) => revokeAuthorizations(oauth(), {})],
  ['revokeAuthorizations by userId', 'subject', ({ oauth }) => revokeAuthorizations(oauth(), wrong({ userId: 'alice' }))],
  ['revokeAuthorizations of nobody', 'subject', ({ oauth }) => revokeAuthorizations(oauth(), wrong({ subject: undefined }))],
  ['listAuthorizations by a number', 'subject', ({ oauth }) => listAuthorizations(oauth(), wrong({ subject: 42 }))],
  ['saveClient with a list of clients', 'saveClient', ({ oauth }) => saveClient(oauth(), machine)],
  ['saveClient without a client', 'saveClient', ({ oauth }) => saveClient(oauth({ clients: undefined }), wrong(undefined))],
  [
    'saveClient with a member misspelt',
    'client_secret',
    ({ oauth }) => saveClient(oauth({ clients: undefined }), wrong({ client_id: 'a', clientSecret: 'x' })),
  ],
  [
    'registerClient with an id',
    'client_id',
    ({ oauth }) => registerClient(oauth({ clients: undefined }), wrong({ client_id: 'a', grant_types: ['client_credentials'] })),
  ],
  ['registerClient without anything', 'registerClient', ({ oauth }) => registerClient(oauth({ clients: undefined }), wrong(undefined))],
  ['deleteClient without an id', 'client_id', ({ oauth }) => deleteClient(oauth({ clients: undefined }), wrong(undefined))],
  ['findClient with the client', 'client_id', ({ oauth }) => findClient(oauth({ clients: undefined }), wrong(machine))],
  ['hashClientSecret of nothing', 'hashClientSecret', () => hashClientSecret(wrong(undefined))],
  ['bearerHeader of a token response', 'bearerHeader', () => bearerHeader(wrong({ access_token: 'x' }))],
  ['macHeader with a path for a URL', 'url', () => macHeader({ id: 'x', key: 'y', method: 'GET', url: '/notes' })],
  ['macHeader without a key', 'key', () => macHeader(wrong({ id: 'x', method: 'GET', url: 'https://api.example' }))],
  [
    'createTokenResponse with its arguments swapped',
    'createTokenResponse',
    ({ oauth }) => createTokenResponse(wrong({ method: 'POST', url: '/', headers: {} }), wrong(oauth())),
  ],
  ['createTokenResponse without a request', 'request', ({ oauth }) => createTokenResponse(oauth(), wrong(undefined))],
  ['validateTokenRequest without a request', 'request', ({ oauth }) => validateTokenRequest(oauth(), wrong(undefined))],
  ['grantResponse of a request that was not validated', 'validateTokenRequest', () => grantResponse(wrong({ client_id: 'web' }))],
  ['memoryStore with max', 'maxRecords', () => memoryStore(wrong({ max: 10 }))],
  ['memoryStore for nothing', 'maxRecords', () => memoryStore({ maxRecords: 0 })],
  ['postgresStore without a pool', 'postgresStore', () => postgresStore(wrong(undefined))],
  ['postgresStore with the URL of the database', 'postgresStore', () => postgresStore(wrong('postgres://localhost/app'))],
  ['postgresStore with a table with a quote', 'table', () => postgresStore(wrong({ query() {} }), { table: 'o"auth' })],
  ['sqliteStore with the name of a file', 'sqliteStore', () => sqliteStore(wrong('tokens.db'))],
  ['redisStore with the client', 'sendCommand', () => redisStore(wrong({ get() {}, sendCommand() {}, isOpen: true }))],
  ['redisStore without anything', 'redisStore', () => redisStore(wrong(undefined))],
  ['redisStore with braces in the prefix', 'prefix', () => redisStore({ sendCommand: () => Promise.resolve(null), prefix: '{oauth}' })],
  ['testStore without a function', 'testStore', () => testStore('mine', wrong(memoryStore()))],
  ['testStoreAcrossProcesses without a module', 'testStoreAcrossProcesses', () => testStoreAcrossProcesses('mine', wrong({}))],
])

const oauth1 = (more: object) => wrong({ clients: [], secrets: [{ kid: '1', key: Buffer.alloc(32, 7).toString('base64') }], ...more })

export const oauth1Mistakes: readonly Mistake[] = mistakes('OAuth 1', [
  ['without secrets', 'secrets', () => requireOAuth1(oauth1({ secrets: undefined }))],
  ['a short secret', 'secrets', () => requireOAuth1(oauth1({ secrets: [{ kid: '1', key: 'short' }] }))],
  ['secret for secrets', 'secrets', () => requireOAuth1(oauth1({ secrets: undefined, secret: 'x'.repeat(32) }))],
  ['without clients', 'clients', () => requireOAuth1(oauth1({ clients: undefined }))],
  ['consumer_key', 'client_id', () => requireOAuth1(oauth1({ clients: [{ consumer_key: 'a', consumer_secret: 'b' }] }))],
  ['a client without a secret', 'client_secret', () => requireOAuth1(oauth1({ clients: [{ client_id: 'a' }] }))],
  ['a signature method misspelt', 'HMAC-SHA256', () => requireOAuth1(oauth1({ signatureMethods: ['HMAC-SHA-256'] }))],
  ['an origin with a path', 'origin', () => requireOAuth1(oauth1({ origin: 'https://api.example/v1' }))],
  ['a realm that is none', 'photos', () => requireOAuth1(oauth1({ realms: ['notes'] }), { realm: 'photos' })],
  ['a realm as second argument', 'realm', () => requireOAuth1(oauth1({}), wrong('notes'))],
  ['a window in milliseconds', 'timestampWindow', () => requireOAuth1(oauth1({ timestampWindow: 600_000 }))],
  ['a verifier of four digits', 'oobVerifierDigits', () => requireOAuth1(oauth1({ oobVerifierDigits: 4 }))],
  ['the options of OAuth 2', 'scopes', () => requireOAuth1(oauth1({ scopes: ['read'] }))],
  ['sealClientSecret without options', 'secrets', () => sealClientSecret(wrong({}), wrong('secret'), 'client')],
  ['the grant without options', 'secrets', () => oauth1TokenGrant(wrong({}))],
  ['a store that is none', 'memoryStore()', () => requireOAuth1(oauth1({ store: memoryStore }))],
])
