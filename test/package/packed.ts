import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { binaries, browserEntries, entries, threads } from '../../entries.ts'
import { succeed } from './command.ts'
import { exclusively } from './lock.ts'

export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** What an example or a document may import beside the package itself. The versions are those that this repository is tested with. */
const beside = [
  'xstate',
  'kafkajs',
  'pg',
  'jiti',
  'rxjs',
  'zod',
  '@statelyai/inspect',
  '@opentelemetry/api',
  '@opentelemetry/sdk-trace-base',
  '@opentelemetry/context-async-hooks',
  '@isomorphic-git/lightning-fs',
  'buffer',
]

const folderPrefix = 'xmachines-packed-'
/** Not in memory, where the other files of the tests may be: it stays until the next run. */
const keptIn = process.env.XM_KEPT_DIR ?? tmpdir()

/** The package as a user gets it. */
export interface Packed {
  readonly tarball: string
  /** What is in the tarball. */
  readonly files: readonly string[]
  /** An empty folder outside of this repository, with the tarball and XState installed. */
  readonly folder: string
}

/** Builds if the build is older than the sources, packs, and installs. Made once for all test files. */
export function packed(): Promise<Packed> {
  return exclusively(join(root, '.cache/packed.lock'), async () => {
    if (!isBuilt()) await succeed('npm', ['run', 'build'], { cwd: root })
    const { tarball, files } = await pack()
    const digest = createHash('sha256').update(readFileSync(tarball)).digest('hex').slice(0, 16)
    const folder = join(keptIn, `${folderPrefix}${digest}`)
    if (!existsSync(join(folder, 'installed'))) await install(folder, tarball)
    return { tarball, files, folder }
  })
}

function isBuilt(): boolean {
  const built = [
    ...Object.keys(entries).flatMap(door => [`dist/${door}.js`, `dist/${door}.d.ts`]),
    ...Object.keys({ ...browserEntries, ...binaries, ...threads }).map(name => `dist/${name}.js`),
  ]
  const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).map(path => join('src', path))
  const newest = Math.max(
    ...[...sources, 'entries.ts', 'tsup.config.ts', 'tsconfig.types.json', 'package.json'].map(changed),
  )
  return built.every(path => existsSync(join(root, path)) && changed(path) >= newest)
}

function changed(path: string): number {
  return statSync(join(root, path)).mtimeMs
}

interface Pack {
  readonly tarball: string
  readonly files: readonly string[]
}

/** Packs unless nothing that is packed has changed since: six test files ask for it, and npm takes seconds. */
async function pack(): Promise<Pack> {
  const cache = join(root, '.cache')
  mkdirSync(cache, { recursive: true })
  const kept = join(cache, 'pack.json')
  const state = packedState()
  if (existsSync(kept)) {
    const { state: before, ...made } = JSON.parse(readFileSync(kept, 'utf8')) as Pack & { readonly state: string }
    if (before === state && existsSync(made.tarball)) return made
  }
  const printed = await succeed('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', cache], {
    cwd: root,
  })
  const [{ filename, files }] = JSON.parse(printed) as [{ filename: string; files: { path: string }[] }]
  const made: Pack = { tarball: join(cache, filename), files: files.map(({ path }) => path) }
  writeFileSync(kept, JSON.stringify({ ...made, state }))
  return made
}

/** Changes with whatever may be in the tarball. */
function packedState(): string {
  const built = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' }).map(path => join('dist', path))
  const beside = readdirSync(root, { withFileTypes: true }).filter(entry => entry.isFile())
  const hash = createHash('sha256')
  for (const path of [...built, ...beside.map(({ name }) => name)].sort()) {
    const { size, mtimeMs } = statSync(join(root, path))
    hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

async function install(folder: string, tarball: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  sweep()
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "name": "consumer", "private": true, "type": "module" }')
  const others = beside.map(name => `${name}@${versionOf(name)}`)
  const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--no-package-lock']
  await succeed('npm', ['install', ...options, tarball, ...others], { cwd: folder })
  writeFileSync(join(folder, 'installed'), '')
}

/** Removes what earlier builds left, once nobody can be using it any more. */
function sweep(): void {
  const yesterday = Date.now() - 86_400_000
  for (const name of readdirSync(keptIn).filter(name => name.startsWith(folderPrefix))) {
    const folder = join(keptIn, name)
    if (statSync(folder).mtimeMs < yesterday) rmSync(folder, { recursive: true, force: true })
  }
}

function versionOf(name: string): string {
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
    version: string
  }
  return version
}
