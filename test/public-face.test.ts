/** The public face: every name that the package exports, and nothing else. A new name is a decision, so it is written down here. */
import { describe, expect, it } from '@jest/globals'
import { readFileSync } from 'node:fs'
import ts from 'typescript'
import * as face from '../src/index.js'
import * as kit from '../src/stores/kit.js'
import * as testing from '../src/testing.js'

const values = [
  // Handlers
  'tokenHandler', 'revocationHandler', 'introspectionHandler', 'metadataHandler', 'jwksHandler', 'requireAccessToken',
  'authorizationServer', 'authorizationHandler', 'registrationHandler', 'pushedAuthorizationHandler', 'protectedResourceHandler',
  // Without a framework
  'createTokenResponse', 'createRevocationResponse', 'createIntrospectionResponse', 'createMetadataResponse', 'createJwksResponse',
  'validateTokenRequest', 'grantResponse', 'errorResponse', 'createHealthResponse', 'healthHandler',
  // For the application
  'issueAuthorizationCode', 'issueTokens', 'authorizationResponse', 'listAuthorizations', 'revokeAuthorizations', 'hashClientSecret', 'bearerHeader', 'macHeader',
  'deleteClient', 'findClient', 'registerClient', 'saveClient', 'tokenVerifier',
  // Grants
  'authorizationCode', 'refreshToken', 'clientCredentials', 'password',
  'webApplication', 'legacyApplication', 'backendApplication',
  // Client authentication
  'clientSecretBasic', 'clientSecretPost', 'none',
  // Formats and stores
  'opaque', 'jwt', 'encrypted', 'memoryStore',
  // Errors
  'OAuthError', 'InvalidRequest', 'InvalidClient', 'InvalidGrant', 'UnauthorizedClient', 'UnsupportedGrantType', 'InvalidScope',
  'UnvalidatedRequest', 'AccessDenied', 'ConfigurationError',
] // prettier-ignore

const types = [
  // Handlers and plain requests
  'AuthorizationServerParts', 'AuthorizationDecision', 'Decide', 'ProtectedResourceOptions', 'RegistrationOptions',
  'AuthorizationRequest', 'AuthorizationResponseRequest', 'DecidedAuthorizationRequest', 'ConsentTexts', 'TokenVerifier', 'TokenVerifierOptions',
  'ClientIdMetadataOptions', 'FetchedDocument',
  'AccessTokenRequirement', 'AuthInfo', 'CacheOptions', 'MetadataOptions', 'Guard', 'Handler', 'HostRequest', 'Next',
  'Context', 'HeaderFields', 'Pair', 'Parameters', 'ProtocolRequest', 'ProtocolResponse', 'ReceivedRequest', 'ValidatedTokenRequest',
  'TokenResponse', 'TokensRequest',
  // Options, events, errors
  'ServerOptions', 'CorsOptions', 'EndpointPlaces', 'FailureCounter', 'DecidedRequest', 'AuthorizationCodeRequest', 'EventListener', 'EventType', 'ServerEvent',
  'ErrorCode', 'OAuthErrorDetails', 'RefusalFacts', 'Scope', 'StoreCall', 'StoreVerb',
  // Grants
  'Grant', 'GrantRequest', 'GrantDecision', 'NewAuthorization', 'Continuation', 'Repetition', 'Refusal',
  'AuthorizationCodeOptions', 'RefreshTokenOptions', 'ClientCredentialsOptions', 'PasswordOptions',
  // Clients and their authentication
  'Client', 'ClientMetadata', 'ClientSecret', 'FindClient', 'LookUpRequest', 'PublicKeySet', 'JsonWebKey',
  'ClientAuthenticationMethod', 'ClientAuthenticationRequest', 'ClientAuthenticationServer', 'PresentedCredentials',
  // Tokens, stores, records
  'TokenClaims', 'AccessTokenFormat', 'AccessTokenReading', 'FormatServer', 'OpaqueOptions',
  'JwtFormat', 'JwtOptions', 'ClaimsOptions', 'KeyInput', 'SigningAlgorithm', 'SigningKeyOptions',
  'EncryptedFormat', 'EncryptedOptions', 'EncryptionAlgorithm', 'EncryptionKeyInput', 'EncryptionKeyOptions',
  'MacAlgorithm', 'MacRequest',
  'MemoryStore', 'MemoryStoreOptions', 'Store', 'StoredRecord', 'RecordKind', 'ListFilter',
  'Authorization', 'Json', 'JsonObject',
  'AuthorizationFilter', 'AuthorizationSummary', 'RevocationFilter', 'RegisteredClient', 'StoredClient',
] // prettier-ignore

/** The statements of index.ts: what each re-exports, and whether it does nothing but that. */
function reExports(): { names: string[]; types: string[]; others: string[] } {
  const text = readFileSync(new URL('../src/index.ts', import.meta.url), 'utf8')
  const source = ts.createSourceFile('index.ts', text, ts.ScriptTarget.Latest, true)
  const found = { names: [] as string[], types: [] as string[], others: [] as string[] }
  for (const statement of source.statements) {
    const clause = ts.isExportDeclaration(statement) ? statement.exportClause : undefined
    if (
      !ts.isExportDeclaration(statement) ||
      clause === undefined ||
      !ts.isNamedExports(clause) ||
      statement.moduleSpecifier === undefined
    ) {
      found.others.push(statement.getText())
      continue
    }
    for (const { name, isTypeOnly } of clause.elements) (statement.isTypeOnly || isTypeOnly ? found.types : found.names).push(name.text)
  }
  return found
}

describe('index.ts', () => {
  it('A1 exports at run time exactly the names that are listed', () => {
    expect(Object.keys(face).sort()).toEqual([...values].sort())
  })

  it('A1 exports exactly the types that are listed', () => {
    expect(reExports().types.sort()).toEqual([...types].sort())
    expect(reExports().names.sort()).toEqual([...values].sort())
  })

  it('A1 does nothing but re-export by name', () => {
    expect(reExports().others).toEqual([])
  })

  it('A4 the errors are classes over OAuthError, but for the two that are mistakes of the application', () => {
    const errors = Object.entries(face).filter(([, value]) => value.prototype instanceof Error)
    const overOAuthError = errors.filter(([, value]) => value.prototype instanceof face.OAuthError).map(([name]) => name)
    expect(overOAuthError.sort()).toEqual(['AccessDenied', 'InvalidClient', 'InvalidGrant', 'InvalidRequest', 'InvalidScope', 'UnauthorizedClient', 'UnsupportedGrantType']) // prettier-ignore
    expect(errors).toHaveLength(10)
  })
})

describe('the entries beside index.ts', () => {
  it("OP3 stores/kit has what a store of one's own needs, and nothing else", () => {
    expect(Object.keys(kit).sort()).toEqual([
      'UnreadableDocument', 'assertWhole', 'durableOptionNames', 'errorMember', 'fromListedRow', 'fromRow', 'graceSeconds', 'readUpkeep', 'retrying',
      'serverTime', 'startSweeping', 'toDocument',
    ]) // prettier-ignore
  })

  it('OP3 testing has the two parts of the contract, and nothing else', () => {
    expect(Object.keys(testing).sort()).toEqual(['testStore', 'testStoreAcrossProcesses'])
  })
})
