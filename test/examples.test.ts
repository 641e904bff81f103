/** Every example runs as its header says, and the curl line that it prints gets the answer that the header shows. */
import { afterEach, describe, expect, test } from '@jest/globals'
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { paste, startExample, type RunningExample } from './support/example.js'

const folder = new URL('../examples/', import.meta.url)
const names = readdirSync(folder).filter((name) => name !== 'https.ts')

const running: RunningExample[] = []
afterEach(async () => {
  for (const example of running.splice(0)) await example.stop()
})

async function start(name: string, ready?: RegExp): Promise<RunningExample> {
  const example = await startExample(`examples/${name}`, ready)
  running.push(example)
  return example
}

function source(name: string): string {
  return readFileSync(new URL(name, folder), 'utf8')
}

/** A line of the header, such as `Try it:`. */
function headerLine(name: string, label: string): string {
  return new RegExp(`^ \\* ${label}: +(.+)$`, 'm').exec(source(name))?.[1] ?? ''
}

/** The answer in the header, with what changes from run to run as `…`, as the answer of a run would be written. */
function masked(answer: string): string {
  return answer.replace(/"(access_token|refresh_token)":"[^"]+"/g, '"$1":"…"')
}

function standardPort(text: string): string {
  return text.replace(/localhost:\d+/g, 'localhost:3000')
}

describe('the examples', () => {
  test('V35 one whose port is taken says so in a line, with the command that takes another', async () => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, 'localhost', resolve))
    const { port } = taken.address() as AddressInfo
    const { NODE_OPTIONS: _jestOptions, npm_lifecycle_event: _script, ...environment } = process.env
    const said = (more: Record<string, string>) =>
      promisify(execFile)(process.execPath, ['--import', 'tsx', 'examples/client-credentials.ts'], {
        cwd: new URL('..', import.meta.url),
        env: { ...environment, PORT: String(port), TSX_TSCONFIG_PATH: new URL('../tsconfig.json', import.meta.url).pathname, ...more },
      }).catch((error: unknown) => {
        const { code, stderr } = error as { readonly code: number; readonly stderr: string }
        return [code, stderr]
      })
    const next = `port ${port} is taken; PORT=${port + 1}`
    const file = 'examples/client-credentials.ts'
    expect(await said({ npm_lifecycle_event: 'start' })).toEqual([1, `${next} npm start\n`])
    expect(await said({})).toEqual([1, `${next} npx tsx ${file}\n`])
    taken.close()
  })

  test('are those of the README, and the one that npm start runs', () => {
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    const linked = [...readme.matchAll(/\]\(examples\/([^)]+)\)/g)].map(([, name = '']) => name)
    expect(names).toEqual(
      expect.arrayContaining(['authorization-code.ts', 'client-credentials.ts', 'custom-grant.ts', 'protected-resource.ts']),
    )
    expect(names.toSorted()).toEqual([...new Set(linked)].sort())
    const { scripts } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
    expect(scripts.start).toContain('examples/client-credentials.ts')
  })

  // These open a browser's flow, and are run by test/server/examples.test.ts.
  const withPages = ['authorization-server.ts', 'mcp-server.ts', 'single-page-app.ts']
  test.each(names.filter((name) => !withPages.includes(name)))('%s has at most 60 lines and a header that says how to run it', (name) => {
    expect(source(name).trimEnd().split('\n').length).toBeLessThanOrEqual(60)
    expect(headerLine(name, 'Run it')).toMatch(new RegExp(`^npm start$|^npx tsx examples/${name}$`))
    expect(headerLine(name, 'Try it')).toMatch(/^curl -k '?https:\/\/localhost:3000\//)
    expect(headerLine(name, 'Answer')).toMatch(/^\{.+\}$/)
  })

  test('G7 client-credentials.ts: the curl line of its header gets the answer of its header', async () => {
    const { curlLine } = await start('client-credentials.ts')
    expect(standardPort(curlLine)).toBe(headerLine('client-credentials.ts', 'Try it'))
    expect(masked(await paste(curlLine))).toBe(headerLine('client-credentials.ts', 'Answer'))
  })

  test('N1 protected-resource.ts: a token opens the route, and none, a wrong one and a narrow one do not', async () => {
    const { curlLine } = await start('protected-resource.ts')
    expect(standardPort(curlLine)).toBe(headerLine('protected-resource.ts', 'Try it'))
    expect(await paste(curlLine)).toBe(headerLine('protected-resource.ts', 'Answer'))
    const status = '-o /dev/null -w "%{http_code} %header{www-authenticate}"'
    expect(await paste(curlLine.replace(/ -H .+$/, ` ${status}`))).toBe('401 Bearer realm="oauth2", scope="read"')
    expect(await paste(curlLine.replace(/ -H .+$/, ` -H "Authorization: Bearer x" ${status}`))).toMatch(
      /^401 Bearer .*error="invalid_token"/,
    )
    expect(await paste(`${curlLine} -X POST ${status}`)).toMatch(/^403 Bearer .*error="insufficient_scope".*scope="write"/)
  })

  test('G10 custom-grant.ts: a ticket is good once, and a forged one never', async () => {
    const { curlLine } = await start('custom-grant.ts')
    expect(standardPort(curlLine).replace(/ticket=alice.+/, 'ticket=<ticket>')).toBe(headerLine('custom-grant.ts', 'Try it'))
    const forged = await paste(curlLine.replace('ticket=alice', 'ticket=mallory'))
    expect(forged).toBe(headerLine('custom-grant.ts', 'Again'))
    expect(JSON.parse(await paste(`${curlLine} -d scope=write`)).error).toBe('invalid_scope')
    expect(masked(await paste(curlLine))).toBe(headerLine('custom-grant.ts', 'Answer'))
    expect(await paste(curlLine)).toBe(headerLine('custom-grant.ts', 'Again'))
  })

  test('O1 oauth1.ts: the URL that its client signed gets the answer of its header, once', async () => {
    const { curlLine } = await start('oauth1.ts')
    expect(standardPort(curlLine).replace(/\?.+'/, "?<signed>'")).toBe(headerLine('oauth1.ts', 'Try it'))
    expect(await paste(curlLine)).toBe(headerLine('oauth1.ts', 'Answer'))
    expect(await paste(`${curlLine} -o /dev/null -w "%{http_code} %header{www-authenticate}"`)).toBe('401 OAuth realm="oauth1"')
  })

  test('N5 U14 authorization-code.ts: consent page, redirect with state and iss, exchange with the verifier, once', async () => {
    const { output } = await start('authorization-code.ts', /^Open .+\n/m)
    const url = output.trim().slice('Open '.length)
    const parameters = new URL(url).searchParams
    const page = await paste(`curl -sk '${url}'`)
    expect(page).toContain('Allow app to read?')
    const location = (await decide(url, 'allow', 'same-origin')).split(' ')[1] ?? ''
    expect(location.startsWith(`${String(parameters.get('redirect_uri'))}?`)).toBe(true)
    expect(new URL(location).searchParams.get('state')).toBe(parameters.get('state'))
    expect(new URL(location).searchParams.get('iss')).toBe(new URL(url).origin)
    const curlLine = await paste(`curl -sk '${location}'`)
    const shown = standardPort(curlLine)
      .replace(/ code=\S+/, ' code=<code>')
      .replace(/code_verifier=\S+/, 'code_verifier=<verifier>')
    expect(shown).toBe(headerLine('authorization-code.ts', 'Try it'))
    expect(masked(await paste(curlLine))).toBe(headerLine('authorization-code.ts', 'Answer'))
    expect(JSON.parse(await paste(curlLine)).error).toBe('invalid_grant')
  })

  test('N5 U14 X13 authorization-code.ts: says no where it must, and escapes what it shows', async () => {
    const { output } = await start('authorization-code.ts', /^Open .+\n/m)
    const url = output.trim().slice('Open '.length)
    expect(await decide(url, 'deny', 'same-origin')).toMatch(
      /^303 https:\/\/localhost:\d+\/callback\?error=access_denied&error_description=[^&]+&state=[^&]+&iss=https%3A%2F%2Flocalhost%3A\d+$/,
    )
    for (const word of ['Allow', 'no', '']) expect(await decide(url, word, 'same-origin')).toContain('?error=access_denied&')
    expect(await decide(url.replace(/&state=[^&]+/, ''), 'deny', 'same-origin')).not.toContain('state')
    expect(await decide(url, 'allow', 'cross-site')).toBe('403 ')
    const elsewhere = url.replace(/redirect_uri=[^&]+/, 'redirect_uri=https://elsewhere.example/')
    expect(await paste(`curl -sk '${elsewhere}'`)).toBe('Unknown client or redirect URI')
    expect(await decide(elsewhere, 'deny', 'same-origin')).toBe('400 ')
    expect(await decide(url.replace('scope=read', 'scope=all'), 'allow', 'same-origin')).toMatch(/\?error=invalid_scope&/)
    const marked = await paste(`curl -sk '${url.replace('scope=read', 'scope=%3Cb%3E%22')}'`)
    expect(marked).not.toContain('<b>')
    expect(marked).toContain('&#60;b&#62;&#34;')
  })
})

/** Presses a button of the consent page; the status and where it leads. */
function decide(url: string, decision: string, site: string): Promise<string> {
  return paste(`curl -sk '${url}' -o /dev/null -w '%{http_code} %{redirect_url}' -H 'Sec-Fetch-Site: ${site}' -d decision=${decision}`)
}
