import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'
import { describeUnless } from '../describe-unless.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome']

/** XM_CHROMIUM names another browser than the first that is found. */
function find(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']
  const paths = names.flatMap(name => folders.map(folder => join(folder, name)))
  return process.env.XM_CHROMIUM ?? paths.find(path => existsSync(path))
}

/** Tests that need a browser. */
export function describeOnChromium(name: string, tests: () => void): void {
  const missing = 'Chromium is not here: `node scripts/servers.mjs` installs it, or set XM_CHROMIUM'
  describeUnless(find() === undefined ? missing : undefined, name, tests)
}

/** Starts a browser that keeps what its pages store in `profile`. It looks for nothing in the network. */
export function startChromium(profile: string): Promise<BrowserContext> {
  return chromium.launchPersistentContext(profile, {
    executablePath: find()!,
    // A sandbox needs rights that root in a container has not.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}
