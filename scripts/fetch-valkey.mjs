/** The newest Valkey that Debian has for this machine, unpacked beside the project: nothing is installed, and nobody's leave is needed. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const packages = ['valkey-server', 'valkey-tools']

const run = (command, args, options = {}) => spawnSync(command, args, { stdio: 'inherit', ...options }).status === 0

/** Debian's own backports, by the address that this machine has Debian's packages from. */
function backports() {
  const format = '$(REPO_URI) $(CODENAME) $(COMPONENT) $(LABEL)'
  const { stdout = '' } = spawnSync('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], {
    encoding: 'utf8',
  })
  const main = /^(\S+) ([a-z]+) main Debian$/m.exec(stdout)
  return main && `deb ${main[1]} ${main[2]}-backports main\n`
}

/** Lists and packages of its own, so that the machine's stay as they are. */
function ownLists(folder, source) {
  for (const name of ['lists/partial', 'archives/partial']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'sources.list'), source)
  const settings = {
    'Dir::Etc::sourcelist': join(folder, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State::lists': join(folder, 'lists'),
    'Dir::Cache': folder,
    'APT::Sandbox::User': '',
  }
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
}

/** @returns whether its server is in the folder */
export function fetchValkey(folder) {
  const server = join(folder, 'usr/bin/valkey-server')
  if (existsSync(server)) return true
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const work = join(folder, 'apt')
  const source = backports()
  const download = (options = []) => run('apt-get', ['download', '-q', ...options, ...packages], { cwd: folder })
  const options = source === null ? [] : ownLists(work, source)
  const isThere = (source !== null && run('apt-get', ['update', '-q', ...options]) && download(options)) || download()
  rmSync(work, { recursive: true, force: true })
  if (!isThere) return false
  for (const name of readdirSync(folder).filter(name => name.endsWith('.deb'))) {
    if (!run('dpkg-deb', ['-x', join(folder, name), folder])) return false
    rmSync(join(folder, name))
  }
  return existsSync(server)
}
