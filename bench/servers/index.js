/**
 * All servers, in the order of the table. Each is loaded in its own process only. `module` has `start(workload, setup)`; what is under `setup`
 * reaches it, with the folder of the package to measure.
 */
export const servers = [
  { id: 'b1', title: 'B1: Express 5, a constant', kind: 'base', isConstant: true, module: './b1.js' },
  { id: 'floor', title: 'Floor: node:http, a constant', kind: 'floor', isConstant: true, module: './floor.js' },
  { id: 'lean', title: 'Lean: node:http, by hand, no checks', kind: 'floor', module: './lean.js', setup: { host: 'node' } },
  { id: 'lean-express', title: 'Lean on Express 5, by hand, no checks', kind: 'floor', module: './lean.js', setup: { host: 'express' } },
  { id: 'ours-node', title: 'oauth2-token-handler on node:http', kind: 'ours', module: './ours.js', setup: { host: 'node' } },
  { id: 'ours-connect', title: 'oauth2-token-handler on Connect', kind: 'ours', module: './ours.js', setup: { host: 'connect' } },
  { id: 'ours-express', title: 'oauth2-token-handler on Express 5', kind: 'ours', module: './ours.js', setup: { host: 'express' } },
  { id: 'node-oauth', title: '@node-oauth/express-oauth-server', kind: 'peer', module: './node-oauth.js' },
  { id: 'oauth2orize', title: 'oauth2orize', kind: 'peer', module: './oauth2orize.js' },
  { id: 'jmondi', title: '@jmondi/oauth2-server', kind: 'peer', module: './jmondi.js' },
  { id: 'oidc-provider', title: 'oidc-provider on node:http', kind: 'peer', module: './oidc-provider.js' },
]

/** The process of a server: what `start` of its module returns. */
export async function startServer(id, workload, packageRoot) {
  const { module, setup } = servers.find((server) => server.id === id)
  const { start } = await import(module)
  return start(workload, { ...setup, packageRoot })
}
