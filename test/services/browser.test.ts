/** A real browser at the pages: login, consent, denial, and a single-page application; and what a screen reader would stumble over. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { paste, startExample, type RunningExample } from '../support/example.js'

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
const isInstalled = existsSync(executablePath)
if (!isInstalled && process.env.REQUIRE_SERVICES === '1') throw new Error(`no Chromium at ${executablePath}: apt-get install chromium`)
if (!isInstalled) console.warn(`SKIPPED: the tests that need a browser; there is no Chromium at ${executablePath} (CHROMIUM)`)

const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'] // prettier-ignore
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const started: RunningExample[] = []
let browser: Browser

beforeAll(async () => {
  if (isInstalled) browser = await chromium.launch({ executablePath, args })
})
afterAll(async () => {
  if (isInstalled) await browser.close()
})
afterEach(async () => {
  for (const context of isInstalled ? browser.contexts() : []) await context.close()
  for (const example of started.splice(0)) await example.stop()
})

/** The address that an example says to open. */
async function start(name: string): Promise<string> {
  const example = await startExample(`examples/${name}`, /^Open \S+[^]*\n/m)
  started.push(example)
  return /^Open (\S+)/m.exec(example.output)?.[1] ?? ''
}

async function visit(url: string, settings: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: false, ...settings })
  const page = await context.newPage()
  await page.goto(url)
  return page
}

async function logIn(page: Page): Promise<void> {
  await page.getByLabel('Name').fill('alice')
  await page.getByLabel('Password').fill('swordfish')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: 'Allow access?' }).waitFor()
}

/** The rules of axe-core that the page breaks. Evaluated from outside, so that the policy of the page stays in force. */
async function violations(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(
    `${axe}; axe.run().then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).join(' ')))`,
  )
}

const inBrowser = isInstalled ? describe : describe.skip

inBrowser('in a browser', () => {
  test('M6 login, consent, code, token, API', async () => {
    const page = await visit(await start('authorization-server.ts'))
    await logIn(page)
    expect(await page.locator('main').innerText()).toContain('The example asks for access to your account.')
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.waitForURL('**/callback?**')
    const line = await page.locator('body').innerText()
    const { access_token, scope } = JSON.parse(await paste(line)) as { access_token: string; scope: string }
    expect(scope).toBe('notes:read')
    const notes = await paste(`curl -sk ${new URL(page.url()).origin}/notes -H 'Authorization: Bearer ${access_token}'`)
    expect(JSON.parse(notes)).toEqual({ notes: ['water the plants'], of: 'alice' })
  })

  test('M6 a person who says no is taken back, with the state and without a code', async () => {
    const page = await visit(await start('authorization-server.ts'))
    await logIn(page)
    await page.getByRole('button', { name: 'Deny' }).click()
    await page.waitForURL('**/callback?**')
    const answer = new URL(page.url()).searchParams
    expect([answer.get('error'), answer.get('code')]).toEqual(['access_denied', null])
    expect(answer.get('state')).toMatch(/^[\w-]+$/)
  })

  test('M6 the page works with the keyboard, without a script, and twice', async () => {
    const url = await start('authorization-server.ts')
    const page = await visit(url, { javaScriptEnabled: false })
    await logIn(page)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/callback?**')
    expect(new URL(page.url()).searchParams.has('code')).toBe(true)
    await page.goto(url)
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.waitForURL('**/callback?**')
    expect(new URL(page.url()).searchParams.has('code')).toBe(true)
  })

  test('T12 a single-page application on another origin gets its tokens, and is told of a no', async () => {
    const url = await start('single-page-app.ts')
    const page = await visit(url)
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByRole('button', { name: 'Allow' }).click()
    await page.getByText('water the plants').waitFor()
    expect(page.url()).toBe(url)
    await page.getByRole('button', { name: 'Show' }).click()
    await page.getByRole('button', { name: 'Deny' }).click()
    await page.getByText('access_denied').waitFor()
  })

  test('T12 a page on an origin that is not named gets nothing', async () => {
    const [app, other] = [await start('single-page-app.ts'), await start('authorization-server.ts')]
    const script = readScript(await paste(`curl -sk ${app}script.js`))
    const page = await visit(`${new URL(other).origin}/login`)
    const blocked = page.waitForEvent('console', (message) => message.text().includes('CORS'))
    const call = `fetch(${JSON.stringify(script)} + '/oauth2/token', { method: 'POST', body: new URLSearchParams({ client_id: 'page' }) }).catch(({ name }) => name)`
    expect(await page.evaluate(call)).toBe('TypeError')
    await blocked
  })

  test.each(['light', 'dark'] as const)(
    'M6 axe-core finds no fault with the consent and error pages (%s), wide and narrow',
    async (colorScheme) => {
      const url = await start('authorization-server.ts')
      for (const viewport of [
        { width: 1000, height: 700 },
        { width: 320, height: 640 },
      ]) {
        const page = await visit(url, { colorScheme, viewport })
        await logIn(page)
        await page.screenshot({ path: `/tmp/consent-${colorScheme}-${viewport.width}.png` })
        expect(await violations(page)).toEqual([])
        expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true)
        await page.goto(url.replace('client_id=app', 'client_id=unknown'))
        await page.getByRole('heading', { name: 'This link does not work' }).waitFor()
        await page.screenshot({ path: `/tmp/consent-error-${colorScheme}-${viewport.width}.png` })
        expect(await violations(page)).toEqual([])
      }
    },
  )

  test('M6 axe-core does find a fault where there is one', async () => {
    const page = await visit(await start('authorization-server.ts'))
    await page.evaluate('document.documentElement.removeAttribute("lang"); document.body.append(document.createElement("img"))')
    expect((await violations(page)).map((fault) => fault.split(':', 1)[0])).toEqual(expect.arrayContaining(['html-has-lang', 'image-alt']))
  })

  test('M6 the consent page refuses to be framed', async () => {
    const url = await start('authorization-server.ts')
    const page = await visit(`${new URL(url).origin}/callback`)
    const refused = page.waitForEvent('console', (message) => /frame-ancestors|X-Frame-Options/.test(message.text()))
    await page.evaluate(`document.body.append(Object.assign(document.createElement('iframe'), { src: ${JSON.stringify(url)} }))`)
    expect((await refused).type()).toBe('error')
  })
})

/** The issuer in the script of the single-page application. */
function readScript(script: string): string {
  return /\["?(https:\/\/localhost:\d+)/.exec(script)?.[1] ?? ''
}
