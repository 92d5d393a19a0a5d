import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { build } from 'esbuild'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openClone } from 'xmachines/persistence/git'
import { packed } from '../package/packed.ts'
import { temporaryDirectory } from '../persistence/filesystem/directory.ts'
import { fsck, git } from '../persistence/git/stock-git.ts'
import { describeOnChromium, startChromium } from './chromium.ts'
import type { Calls } from './page.ts'

/** In the page, where `page.ts` has put it. */
declare const calls: Calls

/** The page as a bundler for browsers makes it of the packed package: nothing of Node is in it. */
async function bundle(): Promise<string> {
  const { folder } = await packed()
  const entry = join(folder, 'page.ts')
  writeFileSync(entry, readFileSync(new URL('page.ts', import.meta.url)))
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    platform: 'browser',
    format: 'esm',
    external: ['isomorphic-git'],
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  expect(Object.keys(metafile.inputs).filter(path => path.includes('node:'))).toEqual([])
  return outputFiles[0]!.text
}

async function served(script: string) {
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close: () => server.close() }
}

describeOnChromium('the Git store in a browser', () => {
  const profile = temporaryDirectory()
  const ends: (() => unknown)[] = [profile.remove]
  let url: string
  let context: BrowserContext
  beforeAll(async () => {
    const site = await served(await bundle())
    ends.push(site.close)
    url = site.url
    context = await startChromium(profile.dir)
    ends.push(() => context.close())
  }, 600_000)
  afterAll(async () => {
    for (const end of ends.reverse()) await end()
  })

  async function page(): Promise<Page> {
    const opened = await context.newPage()
    opened.on('pageerror', error => expect.fail(String(error)))
    await opened.goto(url)
    await opened.waitForFunction(() => 'calls' in globalThis)
    return opened
  }

  test('keeps runs over a page that is reloaded, and one that is killed; stock Git reads them', async () => {
    const first = await page()
    const made = await first.evaluate(() => calls.create())
    expect(made.context).toEqual({ sum: 55 })

    await first.reload()
    await first.waitForFunction(() => 'calls' in globalThis)
    let acknowledged = 10
    let killed!: () => void
    const killing = new Promise<void>(resolve => (killed = resolve))
    await first.exposeFunction('acknowledge', (seq: number) => {
      acknowledged = seq
      if (seq >= 60) killed()
    })
    // Never answered: the page goes in the middle of it.
    first
      .evaluate(() => calls.addForEver((globalThis as unknown as { acknowledge(seq: number): void }).acknowledge))
      .catch(() => {})
    await killing
    await first.close()

    const second = await page()
    const { seq, context, verified } = await second.evaluate(() => calls.reopen())
    expect(seq).toBeGreaterThanOrEqual(acknowledged)
    expect(context).toEqual({ sum: 55 + (seq - 10) + 1000 })
    expect(verified).toEqual({ run: made.run, units: seq + 1 })

    const { dir, remove } = temporaryDirectory()
    ends.push(remove)
    for (const [path, content] of Object.entries(await second.evaluate(() => calls.files()))) {
      mkdirSync(dirname(join(dir, path)), { recursive: true })
      writeFileSync(join(dir, path), Buffer.from(content, 'base64'))
    }
    const gitdir = join(dir, 'carts.git')
    expect(fsck(gitdir)).toBe('')
    const story = git(gitdir, 'log', '--format=%s', `r/${made.run}`).split('\n')
    expect(story.length).toBeGreaterThan(seq)
    const clone = openClone({ gitdir })
    expect(await clone.head(made.run)).toMatchObject({ key: 'c-1', seq: seq + 1 })
    await clone.close()
  }, 120_000)

  test('is open in one tab: another one is refused, and goes on with the run once the first is gone', async () => {
    const [first, second] = [await page(), await page()]
    expect(await first.evaluate(() => calls.addOne('c-2'))).toBe(1)
    expect(await second.evaluate(() => calls.addOne('c-2'))).toBe('STORE_LOCKED')
    expect(await first.evaluate(() => calls.addOne('c-2'))).toBe(2)
    await first.close()
    await expect.poll(() => second.evaluate(() => calls.addOne('c-2')), { timeout: 30_000 }).toBe(3)
    await second.close()
  }, 60_000)
})
