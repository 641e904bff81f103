import { fork } from 'node:child_process'
import { once } from 'node:events'
const pg = process.argv[2] === 'pg'
const settings = { count: 100000, perSecond: pg ? 1_000_000 : 500, ...(pg ? { address: { kind: 'postgres', url: 'postgres://postgres@127.0.0.1:5432/test', table: 'strangers_long.records' } } : {}) }
const child = fork('/work/main/test/security/strangers-child.ts', [JSON.stringify(settings)], { cwd: '/work/main', execArgv: ['--import', 'tsx', '--expose-gc', '--max-old-space-size=192'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const t = Date.now()
child.once('message', (m) => { console.log(JSON.stringify(m, null, 1), (Date.now() - t) / 1000, 's'); child.kill() })
await once(child, 'exit')
