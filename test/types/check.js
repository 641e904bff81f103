// `npm run check:types`: the types of the packed package compile in applications of others, with `skipLibCheck: false`. Each application is a folder of its own
// with one release of @types/node and of @types/express, and is compiled by every kind of module resolution. Needs dist and the npm registry; where the
// registry cannot be reached it says so, and ends with 0.

import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(root, 'node_modules/typescript/bin/tsc')

const byNodenext = ['nodenext', { module: 'nodenext' }]
const byBundler = ['bundler', { module: 'esnext', moduleResolution: 'bundler', lib: ['es2023', 'dom'] }]
const byNode10 = ['commonjs', { module: 'commonjs', moduleResolution: 'node10', ignoreDeprecations: '6.0' }]
const applications = [
  { node: 'latest', express: '5', resolutions: [byNodenext, byBundler, byNode10] },
  { node: '24', express: '4', resolutions: [byNodenext] },
  { node: '20', express: '5', resolutions: [byNodenext] },
]

const unreachable = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/
const npmSettings = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries=1', '--fetch-timeout=20000']

/** Installs package and types into a folder, and returns it. */
async function install(place, tarball, { node, express }) {
  const folder = join(place, `node-${node}-express-${express}`)
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  await run('npm', ['install', ...npmSettings, tarball, `@types/node@${node}`, `@types/express@${express}`], { cwd: folder })
  copyFileSync(new URL('consumer.ts', import.meta.url), join(folder, 'consumer.ts'))
  return folder
}

/** What the compiler complains of, or nothing. */
async function compile(folder, [name, resolution]) {
  const common = {
    target: 'es2023',
    lib: ['es2023'],
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    esModuleInterop: true,
  }
  const project = join(folder, `tsconfig.${name}.json`)
  writeFileSync(project, JSON.stringify({ compilerOptions: { ...common, ...resolution }, files: ['consumer.ts'] }))
  return run(process.execPath, [tsc, '-p', project], { cwd: folder }).then(() => '', ({ stdout, message }) => stdout || message) // prettier-ignore
}

async function check(place) {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', place], { cwd: root })
  const tarball = join(place, JSON.parse(stdout)[0].filename)
  let failed = 0
  const folders = await Promise.all(applications.map((application) => install(place, tarball, application)))
  for (const [index, application] of applications.entries()) {
    for (const way of application.resolutions) {
      const [name] = way
      const complaints = await compile(folders[index], way)
      console.log(`${complaints === '' ? 'ok' : 'FAILED'}: @types/node ${application.node}, @types/express ${application.express}, ${name}`)
      if (complaints === '') continue
      failed += 1
      console.log(complaints)
    }
  }
  return failed
}

const place = mkdtempSync(join(tmpdir(), 'check-types-'))
try {
  process.exitCode = (await check(place)) === 0 ? 0 : 1
} catch (error) {
  const said = String(error.stderr ?? error)
  if (!unreachable.test(said)) throw error
  console.warn('SKIPPED: the types were not compiled with other releases of @types/node, because the npm registry cannot be reached')
} finally {
  rmSync(place, { recursive: true, force: true })
}
