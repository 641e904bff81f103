/** Options: what stops the start, with which words. Rows T1, T2, Y4, A1, C5, C10, F1, G7, G9, G12, R2 as far as they are about options. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import {
  authorizationCode,
  clientCredentials,
  ConfigurationError,
  introspectionHandler,
  memoryStore,
  none,
  refreshToken,
  requireAccessToken,
  revocationHandler,
  tokenHandler,
  type ServerOptions,
} from '../src/index.js'
import { machine, native, testServer, web } from './support/server.js'

const nodeEnv = process.env.NODE_ENV
let warnings: string[] = []
beforeEach(() => {
  warnings = []
  jest.spyOn(console, 'warn').mockImplementation((text: string) => void warnings.push(text))
})
afterEach(() => {
  jest.restoreAllMocks()
  process.env.NODE_ENV = nodeEnv
})

function expectRefusal(options: unknown, message: string): void {
  const start = () => tokenHandler(options as ServerOptions)
  expect(start).toThrow(new ConfigurationError(message))
  expect(start).toThrow(ConfigurationError)
}

describe('no options, and few', () => {
  it('A3 { refreshable: false, scopes } alone is a valid construction, and may get its clients later', () => {
    expect(tokenHandler({ refreshable: false, scopes: ['read'] })).toHaveLength(3)
    expect(warnings).toEqual([])
  })

  it('C10 { clients: [] } is valid, and warns that there are no clients', () => {
    tokenHandler({ clients: [] })
    expect(warnings).toEqual([
      'oauth2-token-handler: no clients are configured, so nobody can get a token; set the option clients, or leave it out and add clients with saveClient',
    ])
  })

  it('C10 a clients function, or one client, does not warn', () => {
    tokenHandler({ clients: () => undefined })
    tokenHandler({ clients: [machine] })
    expect(warnings).toEqual([])
  })

  it('A1 undefined is as good as absent, for every option', () => {
    const names = Object.keys(wrongTypes)
    expect(tokenHandler(Object.fromEntries(names.map((name) => [name, undefined])))).toHaveLength(3)
  })
})

describe('an unknown option', () => {
  it.each([
    ['scope', '; did you mean "scopes"?'],
    ['client', '; did you mean "clients"?'],
    ['Clients', '; did you mean "clients"?'],
    ['acessTokens', '; did you mean "accessTokens"?'],
    ['access_token_lifetime', '; did you mean "accessTokenLifetime"?'],
    ['default_grant_type', '; did you mean "defaultGrantType"?'],
    ['allowInsecureTransports', '; did you mean "allowInsecureTransport"?'],
    ['refresable', '; did you mean "refreshable"?'],
    ['colour', '. Remove it.'],
    ['__proto', '. Remove it.'],
  ])('A1 %s is refused%s', (name, suggestion) => {
    expectRefusal({ [name]: true }, `the options object has no member "${name}"${suggestion}`)
  })

  it('A1 in what a factory takes, too', () => {
    const lifetime = { accessTokenLifetim: 60 } as object
    const message = 'has no member "accessTokenLifetim"; did you mean "accessTokenLifetime"?'
    expect(() => authorizationCode(lifetime)).toThrow(`authorizationCode ${message}`)
    expect(() => refreshToken(lifetime)).toThrow(`refreshToken ${message}`)
    expect(() => clientCredentials(lifetime)).toThrow(`clientCredentials ${message}`)
    expect(() => memoryStore({ maxRecord: 7 } as object)).toThrow('memoryStore has no member "maxRecord"; did you mean "maxRecords"?')
  })
})

/** For every option a value of a wrong type, and what is said about it. */
const wrongTypes: Record<keyof ServerOptions, readonly (readonly [value: unknown, message: string])[]> = {
  clients: [
    ['web', 'clients must be an array or a function (client_id) => client, not a string'],
    [{}, 'clients must be an array or a function (client_id) => client, not an object'],
    [['web'], 'clients[0] must be an object, not a string'],
    [[machine, {}], 'clients[1].client_id must be 1 to 255 visible ASCII characters or spaces'],
  ],
  clientCacheLifetime: [
    ['5', 'clientCacheLifetime must be a whole number from 0 to 300, not a string'],
    [301, 'clientCacheLifetime must be a whole number from 0 to 300, not 301'],
  ],
  privateUseSchemes: [
    ['cursor', 'privateUseSchemes must be an array of strings that are not empty, not a string'],
    [['cursor:'], 'privateUseSchemes: "cursor:" must be the scheme of a program, in lower case and without the colon, as in \'cursor\''],
    [['https'], 'privateUseSchemes: "https" must be the scheme of a program, in lower case and without the colon, as in \'cursor\''],
    [
      ['javascript'],
      'privateUseSchemes: "javascript" must be the scheme of a program, in lower case and without the colon, as in \'cursor\'',
    ],
  ],
  notBefore: [
    [new Date(), 'notBefore must be a whole number from 0 to 99999999999, not an object'],
    [1.5, 'notBefore must be a whole number from 0 to 99999999999, not 1.5'],
  ],
  ignoredScopes: [
    ['openid', 'ignoredScopes must be an array of strings that are not empty, not a string'],
    [['open id'], 'ignoredScopes must hold one scope token each (RFC 6749 §3.3)'],
  ],
  scopes: [
    ['read', 'scopes must be an array of strings that are not empty, not a string'],
    [[7], 'scopes must be an array of strings that are not empty, not an array'],
    [['read write'], 'scopes must hold one scope token each (RFC 6749 §3.3): no spaces, quotes or backslashes inside'],
  ],
  strangerScopes: [
    ['read', 'strangerScopes must be an array of strings that are not empty, not a string'],
    [['read'], 'strangerScopes: "read" is not among the server\'s scopes; add it to the option scopes'],
  ],
  checkScope: [[['read'], 'checkScope must be a function, not an array']],
  grants: [
    [
      'password',
      'grants must be an array of at least one grant, as in [clientCredentials()]; it is a name; import the function and call it: password({ authenticate })',
    ],
    [[], 'grants must be an array of at least one grant, as in [clientCredentials()]'],
    [
      ['password'],
      'grants: each must be an object, not a string; it is a name; import the function and call it: password({ authenticate })',
    ],
    [
      [clientCredentials],
      'grants: each must be an object, not a function; it is the function clientCredentials itself; call it: clientCredentials()',
    ],
    [[{ type: 'ticket' }], 'grants: each must be an object with type and authorize(); take one from a factory, as in clientCredentials()'],
    [[{ ...clientCredentials(), type: ':ticket' }], 'grants: type must be a name or an absolute URI'],
    [[clientCredentials(), clientCredentials()], 'grants has "client_credentials" twice; remove one'],
    [[clientCredentials({ accessTokenLifetime: '60' as unknown as number })], 'grants: "client_credentials" accessTokenLifetime must be a whole number from 1 to 31536000, not a string'], // prettier-ignore
  ],
  defaultGrantType: [
    [7, 'defaultGrantType must be a string that is not empty, not a number'],
    ['client_credential', 'defaultGrantType "client_credential" is not the type of one of the grants; did you mean "client_credentials"?'],
  ],
  refreshable: [['no', 'refreshable must be true, false or a function']],
  authenticationMethod: [
    ['Bearer', "authenticationMethod must be 'bearer' or 'mac'; did you mean \"bearer\"?"],
    ['basic', "authenticationMethod must be 'bearer' or 'mac'"],
    [true, "authenticationMethod must be 'bearer' or 'mac'"],
  ],
  accessTokens: [
    ['opaque', 'accessTokens must be an object, not a string; it is a name; import the function and call it: opaque()'],
    [{ name: 'x', issue: () => '' }, "accessTokens must be a function, or a format with name, kind ('reference' or 'self-contained'), issue and read"], // prettier-ignore
  ],
  refreshTokens: [['random', 'refreshTokens must be a function, not a string']],
  responseParameters: [[{ a: 1 }, 'responseParameters must be a function, not an object']],
  clientAuthenticationMethods: [
    [[none(), none()], 'clientAuthenticationMethods has "none" twice; remove one'],
    [
      'none',
      'clientAuthenticationMethods must be an array of at least one method, as in [clientSecretBasic()]; it is a name; import the function and call it: none()',
    ],
    [[], 'clientAuthenticationMethods must be an array of at least one method, as in [clientSecretBasic()]'],
    [
      [{ name: 'x' }],
      'clientAuthenticationMethods: each must have name, presented and verify; call the factory, as in clientSecretBasic()',
    ],
  ],
  store: [
    ['redis', 'store must be an object, not a string; it is a name; import the function and call it: redisStore({ sendCommand })'],
    [{ ...memoryStore(), replace: undefined }, 'store must have the verb replace(); memoryStore() is one that has all'],
    [new Map(), 'store must have the verb create(); memoryStore() is one that has all'],
  ],
  callbackTimeout: [[0, 'callbackTimeout must be a whole number from 1 to 600000, not 0']],
  storeTimeout: [[0, 'storeTimeout must be a whole number from 1 to 600000, not 0']],
  storeConcurrency: [[0, 'storeConcurrency must be a whole number from 1 to 100000, not 0']],
  issuer: [
    [7, 'issuer must be a string that is not empty, not a number'],
    ['', 'issuer must be a string that is not empty, not an empty string'],
    [
      'server.example',
      'issuer must be an absolute URL without query or fragment, as in \'https://auth.example.com\', not "server.example"',
    ],
    [
      'https://server.example/?a=b',
      'issuer must be an absolute URL without query or fragment, as in \'https://auth.example.com\', not "https://server.example/?a=b"',
    ],
    [
      'http://server.example',
      'issuer must be an https URL, as in \'https://auth.example.com\', not "http://server.example"; http is for localhost alone',
    ],
  ],
  accessTokenLifetime: [
    ['3600', 'accessTokenLifetime must be a whole number from 1 to 31536000, not a string'],
    [0, 'accessTokenLifetime must be a whole number from 1 to 31536000, not 0'],
    [1.5, 'accessTokenLifetime must be a whole number from 1 to 31536000, not 1.5'],
    [NaN, 'accessTokenLifetime must be a whole number from 1 to 31536000, not NaN'],
  ],
  codeLifetime: [[601, 'codeLifetime must be a whole number from 1 to 600, not 601']],
  refreshTokenLifetime: [[-1, 'refreshTokenLifetime must be a whole number from 1 to 3153600000, not -1']],
  refreshTokenIdleLifetime: [[Infinity, 'refreshTokenIdleLifetime must be a whole number from 1 to 3153600000, not Infinity']],
  refreshRetryWindow: [[601, 'refreshRetryWindow must be a whole number from 0 to 600, not 601']],
  rotateRefreshTokens: [['yes', 'rotateRefreshTokens must be true or false, not a string']],
  maxAccessTokens: [[0, 'maxAccessTokens must be a whole number from 1 to 10000, not 0']],
  beforeGrant: [[true, 'beforeGrant must be a function, not a boolean']],
  authorize: [[{}, 'authorize must be a function, not an object']],
  context: [[{}, 'context must be a function, not an object']],
  available: [[true, 'available must be a function, not a boolean']],
  clientIdMetadataDocuments: [
    ['yes', 'clientIdMetadataDocuments must be an object, not a string'],
    [{ acept: () => true }, 'clientIdMetadataDocuments has no member "acept"; did you mean "accept"?'],
  ],
  implies: [
    ['read', 'implies must be an object, not a string'],
    [{ read: ['wrtie'] }, 'implies: "read" is not among the server\'s scopes; add it to the option scopes'],
  ],
  resources: [
    ['https://api.example', 'resources must be an array of strings that are not empty, not a string'],
    [['api'], 'resources: "api" must be an absolute URI without fragment, as in https://api.example.com/mcp'],
    [
      ['https://api.example#x'],
      'resources: "https://api.example#x" must be an absolute URI without fragment, as in https://api.example.com/mcp',
    ],
    [['https://API.example', 'https://api.example/'], 'resources has "https://api.example/" twice; remove one'],
  ],
  requirePushedAuthorizationRequests: [['yes', 'requirePushedAuthorizationRequests must be true or false, not a string']],
  failedAuthenticationLimit: [
    [0, 'failedAuthenticationLimit must be a whole number from 1 to 1000000, not 0'],
    [true, 'failedAuthenticationLimit must be failures a minute, false, or a counter with retryAfter(key) and failed(key)'],
    [
      { failed: () => undefined },
      'failedAuthenticationLimit must be failures a minute, false, or a counter with retryAfter(key) and failed(key)',
    ],
  ],
  cors: [
    ['*', "cors must be an object with origins, as in { origins: ['https://app.example.com'] }, not a string"],
    [{ origin: '*' }, 'cors has no member "origin"; did you mean "origins"?'],
    [
      { origins: ['https://app.example/'] },
      "cors.origins must be '*' or an array of origins such as 'https://app.example.com', without path",
    ],
  ],
  endpoints: [
    ['/token', 'endpoints must be an object, not a string'],
    [{ tokens: '/token' }, 'endpoints has no member "tokens"; did you mean "token"?'],
    [{ token: 'token' }, 'endpoints.token must be a path that begins with "/", or a URL, without fragment'],
    [{ token: '/token#a' }, 'endpoints.token must be a path that begins with "/", or a URL, without fragment'],
  ],
  allowInsecureTransport: [
    ['true', 'allowInsecureTransport must be true or false, not a string'],
    [1, 'allowInsecureTransport must be true or false, not a number'],
  ],
  trustProxy: [[true, "trustProxy must be a function (address) => boolean, as in (address) => address === '10.0.0.1'"]],
  maxBodySize: [
    ['16kb', 'maxBodySize must be a whole number from 64 to 1048576, not a string'],
    [63, 'maxBodySize must be a whole number from 64 to 1048576, not 63'],
  ],
  errorUri: [
    [7, 'errorUri must be a string that is not empty, not a number'],
    ['https://a.example/"x"', 'errorUri must be a URI: ASCII without spaces, quotes and backslashes'],
  ],
  realm: [['a\nb', 'realm must be visible ASCII characters or spaces']],
  onEvent: [['log', 'onEvent must be a function, not a string']],
  clock: [
    [1_800_000_000, 'clock must be a function, not a number'],
    [() => 1_800_000_000_000, 'clock must answer whole seconds since the epoch, as in () => Math.floor(Date.now() / 1000)'],
    [() => 1_800_000_000.5, 'clock must answer whole seconds since the epoch, as in () => Math.floor(Date.now() / 1000)'],
  ],
  clockTolerance: [[301, 'clockTolerance must be a whole number from 0 to 300, not 301']],
}

describe('a wrong type', () => {
  const cases = Object.entries(wrongTypes).flatMap(([name, all]) => all.map(([value, message]) => ({ name, value, message })))
  it.each(cases)('A1 $name: $message', ({ name, value, message }) => {
    expectRefusal({ [name]: value }, message)
  })

  it('A1 every message begins with the name of the option', () => {
    for (const { name, message } of cases) expect(message.startsWith(name)).toBe(true)
  })

  it.each([undefined, null, 'options', 7, [], () => undefined])('A1 options that are no object are refused (%p)', (options) => {
    expect(() => tokenHandler(options as ServerOptions)).toThrow(
      /^tokenHandler: the options (?:must be an object, as in tokenHandler\(oauth\), not |object is missing)/,
    )
  })

  it.each([null, 0, '', false])('A1 %j is not absent', (value) => {
    const meant: [string, unknown][] = [['refreshable', false], ['clientCacheLifetime', 0], ['notBefore', 0], ['requirePushedAuthorizationRequests', false], ['clientIdMetadataDocuments', false], ['failedAuthenticationLimit', false], ['rotateRefreshTokens', false], ['allowInsecureTransport', false], ['refreshRetryWindow', 0], ['clockTolerance', 0]] // prettier-ignore
    for (const name of Object.keys(wrongTypes)) {
      if (meant.some(([allowed, allowedValue]) => allowed === name && allowedValue === value)) continue
      expect(() => tokenHandler({ [name]: value })).toThrow(ConfigurationError)
    }
  })

  it('A1 no message holds the value, which may be a secret', () => {
    for (const name of Object.keys(wrongTypes)) {
      try {
        tokenHandler({ [name]: { member: 'hunter2' } })
      } catch (error) {
        expect(String(error)).not.toContain('hunter2')
      }
    }
  })
})

describe('an impossible pair', () => {
  it.each<[string, ServerOptions, string]>([
    [
      'Y4 an unknown method',
      { authenticationMethod: 'Mac' as 'bearer' },
      "authenticationMethod must be 'bearer' or 'mac'; did you mean \"mac\"?",
    ],
    ['A1 a default grant that refreshable: false takes away', { refreshable: false, defaultGrantType: 'refresh_token' }, 'defaultGrantType "refresh_token" is not the type of one of the grants'], // prettier-ignore
    ['G6 no grant left', { refreshable: false, grants: [refreshToken()] }, 'grants has refreshToken() only, and refreshable: false takes it away; remove one of the two'], // prettier-ignore
    ['C10 two clients of one id', { clients: [machine, machine] }, 'clients has "machine" twice; remove one'],
    ['G9 a scope of a client that the server has not', { scopes: ['read'], clients: [{ ...machine, scope: 'reed' }] }, 'client "machine": scope "reed" is not among the server\'s scopes; did you mean "read"?; add it to the option scopes'], // prettier-ignore
    ['G9 a default scope that the server has not', { clients: [{ ...machine, defaultScope: ['x'] }] }, 'client "machine": scope "x" is not among the server\'s scopes; add it to the option scopes'], // prettier-ignore
    ['G9 a default scope outside the scope', { scopes: ['read', 'write'], clients: [{ ...machine, scope: 'write', defaultScope: 'read write' }] }, 'client "machine": defaultScope must be within scope'], // prettier-ignore
    ['G7 a public client for client_credentials', { clients: [{ ...native, grant_types: ['authorization_code', 'client_credentials'] }] }, 'client "native": a public client cannot use client_credentials; give it a secret, or take that out of grant_types'], // prettier-ignore
    ['C8 an unknown member of a secret', { clients: [{ ...machine, secrets: [{ hash: `sha256:${'A'.repeat(43)}`, expires: 7 } as { hash: string }] }] }, 'client "machine": secrets has no member "expires"; did you mean "expiresAt"?'], // prettier-ignore
    ['T11 a grant type that nobody serves', { clients: [{ ...machine, grant_types: ['client_credential'] }] }, 'client "machine": grant_types names "client_credential", which the server does not serve; did you mean "client_credentials"?; add the grant to the option grants'], // prettier-ignore
    ['C10 an unknown member of a client', { clients: [{ ...machine, client_secert: 'x' } as typeof machine] }, 'client "machine" has no member "client_secert"; did you mean "client_secret"? What is your own goes under "extra".'], // prettier-ignore
    ['G1 codes without redirect_uris', { clients: [{ ...web, redirect_uris: [] }] }, 'client "web": may use authorization_code but has no redirect_uris; add them, or say which grants it uses, as in grant_types: [\'client_credentials\']'], // prettier-ignore
    ['G2 a public client without PKCE', { clients: [{ ...native, require_pkce: false }] }, 'client "native": is public and cannot go without PKCE; remove require_pkce: false'], // prettier-ignore
    ['G12 a lifetime of a client', { clients: [{ ...machine, accessTokenLifetime: 0 }] }, 'client "machine": accessTokenLifetime must be a whole number from 1 to 31536000, not 0'], // prettier-ignore
    ['C5 an authentication method without its entry', { clients: [{ client_id: 'a', token_endpoint_auth_method: 'tls_client_auth', grant_types: [] }] }, 'client "a": token_endpoint_auth_method "tls_client_auth" is not served; add the method to the option clientAuthenticationMethods'], // prettier-ignore
  ])('%s is refused', (_case, options, message) => {
    expectRefusal(options, message)
  })

  it.each(['https://server.example/#', 'https://server.example/#a', 'https://server.example#'])(
    'T2 the issuer %s has a fragment',
    (issuer) => {
      expectRefusal(
        { issuer },
        `issuer must be an absolute URL without query or fragment, as in 'https://auth.example.com', not "${issuer}"`,
      )
    },
  )

  it.each(['https://server.example', 'https://server.example/tenant', 'http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:1'])(
    'T2 the issuer %s is fine',
    (issuer) => {
      expect(tokenHandler({ issuer, clients: [machine] })).toHaveLength(3)
    },
  )
})

describe('plain http', () => {
  it('T1 allowInsecureTransport warns once for each server', () => {
    const options = { allowInsecureTransport: true, clients: [machine] }
    tokenHandler(options)
    revocationHandler(options)
    expect(warnings).toEqual([
      'oauth2-token-handler: allowInsecureTransport is on: secrets and tokens travel in plain text; use it on your own machine only',
    ])
  })

  it('T1 allowInsecureTransport is refused with NODE_ENV=production', () => {
    process.env.NODE_ENV = 'production'
    expectRefusal(
      { allowInsecureTransport: true, store: memoryStore(), clients: [machine] },
      "allowInsecureTransport is for development; with NODE_ENV=production remove it and serve https, or, behind a proxy that ends TLS, remove it and set app.set('trust proxy', 1)",
    )
    expect(tokenHandler({ allowInsecureTransport: false, store: memoryStore(), clients: [machine] })).toHaveLength(3)
    expect(warnings).toEqual([])
  })

  it('T1 the default store warns with NODE_ENV=production, one that was configured does not', () => {
    process.env.NODE_ENV = 'production'
    tokenHandler({ clients: [machine] })
    tokenHandler({ clients: [machine], store: memoryStore() })
    expect(warnings).toEqual([
      'oauth2-token-handler: no store is configured: tokens are kept in memory, end with this process, and are unknown to any other; set the option store',
    ])
  })

  it('T1 a warning is an event, too', () => {
    const { options, events } = testServer({ allowInsecureTransport: true })
    tokenHandler(options)
    expect(events).toMatchObject([{ type: 'warning', reason: expect.stringMatching(/^allowInsecureTransport is on/) }])
  })
})

describe('every handler', () => {
  it.each([tokenHandler, revocationHandler, introspectionHandler, requireAccessToken])(
    'A1 %p checks the options when it is made',
    (make) => {
      expect(() => make({ scope: [] } as ServerOptions)).toThrow('the options object has no member "scope"; did you mean "scopes"?')
    },
  )
})
