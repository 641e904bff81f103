/** Where clients come from beside the option `clients`: from the store, and from metadata documents about themselves. */
import { createClientIdDocuments, type ClientIdDocuments, type ClientIdMetadataPolicy } from '../clients/id-metadata.js'
import type { StoredClients } from '../clients/registry.js'
import type { Served } from '../clients/client.js'
import { assertKnownKeys, assertObject, OptionReader } from '../option-checks/reader.js'
import type { ServerOptions } from './options.js'
import type { Scope } from '../authorization/scope.js'
import type { ClientRecords } from '../clients/records.js'
import type { StrangerRules } from '../clients/stranger-metadata.js'
import type { StrangerRooms } from '../clients/stranger-rooms.js'

/** Clients that are metadata documents, where the option asks for them. */
export function readClientIdDocuments(
  { clientIdMetadataDocuments: value }: ServerOptions,
  policy: ClientIdMetadataPolicy,
): ClientIdDocuments | undefined {
  if (value === undefined || value === false) return undefined
  const options = value === true ? {} : value
  const members = assertObject(options, 'clientIdMetadataDocuments')
  assertKnownKeys(members, ['accept', 'fetch'], 'clientIdMetadataDocuments')
  const reader = new OptionReader(members, 'clientIdMetadataDocuments: ')
  reader.assertCallback('accept')
  reader.assertCallback('fetch')
  return createClientIdDocuments(options, policy)
}

/** A client that is its document has nobody to share a secret with (draft §4.1). */
export function documentRules(
  strangers: { readonly scopes: Scope },
  { grantTypes, methods }: Served,
  privateUseSchemes: ReadonlySet<string>,
): () => StrangerRules {
  const own = {
    grantTypes,
    methods: methods.filter((name) => name === 'none'),
    privateUseSchemes,
    defaultMethod: 'none',
    onMistake: 'drop',
  } as const
  return () => ({ ...own, scopes: strangers.scopes })
}

/** The clients in the store. One that was authorised is a stranger no more, as far as room is concerned. */
export function storedClients(
  records: ClientRecords,
  { registrations }: StrangerRooms,
  where: Pick<StoredClients, 'isSearched' | 'hasRegistration' | 'isEmpty'>,
): StoredClients {
  return {
    ...where,
    find: (client_id) => records.find(client_id),
    async keepUntil(client_id, instant) {
      await records.keepUntil(client_id, instant)
      registrations.leave(client_id)
    },
  }
}
