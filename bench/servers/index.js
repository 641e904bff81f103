/** All servers, in the order of the table. */
import { b1 } from './b1.js'
import { floor } from './floor.js'
import { jmondi } from './jmondi.js'
import { lean } from './lean.js'
import { nodeOauth } from './node-oauth.js'
import { oauth2orizeServer } from './oauth2orize.js'
import { oidcProvider } from './oidc-provider.js'
import { ours } from './ours.js'

export const servers = [b1, floor, lean, ours('node'), ours('connect'), ours('express'), nodeOauth, oauth2orizeServer, jmondi, oidcProvider]
