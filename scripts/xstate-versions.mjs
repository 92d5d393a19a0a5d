// Runs what depends on XState against other versions of it: `node scripts/xstate-versions.mjs [5.26.0 5.33.3 …]`; without
// versions, against the last patch of every minor of the peer range. Each is installed into .cache/xstate-<version>/ once.
// Options for the tests go through the environment (FC_RUNS, FC_SEED).
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const builds = { development: 'xstate.development.cjs.mjs', production: 'xstate.cjs.mjs' }

const failed = []
for (const version of process.argv.length > 2 ? process.argv.slice(2) : lastOfEveryMinor()) {
  const directory = join(root, '.cache', `xstate-${version}`)
  if (!existsSync(join(directory, 'node_modules', 'xstate'))) {
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'package.json'), '{ "private": true }\n')
    const { status } = run('npm', ['install', '--no-audit', '--no-fund', `xstate@${version}`], directory)
    if (status !== 0) process.exit(status ?? 1)
  }
  for (const [build, file] of Object.entries(builds)) {
    const entry = join(directory, 'node_modules', 'xstate', 'dist', file)
    console.log(`\nxstate ${version}, ${build} build`)
    const { status } = run('npx', ['vitest', 'run', '--project', 'another-xstate'], root, { XSTATE_ENTRY: entry })
    if (status !== 0) failed.push(`${version} (${build})`)
  }
}
if (failed.length > 0) {
  console.error(`\nDiffers: ${failed.join(', ')}`)
  process.exit(1)
}

function lastOfEveryMinor() {
  const { xstate: range } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).peerDependencies
  const printed = execFileSync('npm', ['view', `xstate@${range}`, 'version', '--json'], { encoding: 'utf8' })
  const byAge = JSON.parse(printed).sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  return new Map(byAge.map(version => [version.split('.').slice(0, 2).join('.'), version])).values()
}

function run(command, args, cwd, env = {}) {
  return spawnSync(command, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
}
