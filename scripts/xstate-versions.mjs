// Runs the differential suite against other versions of XState: `node scripts/xstate-versions.mjs 5.26.0 5.33.3 …`
// Each is installed into .cache/xstate-<version>/ once. Options for the tests go through the environment (FC_RUNS, FC_SEED).
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const tests = ['test/actors/machine/differential.test.ts', 'test/actors/machine/order.test.ts']
const builds = { development: 'xstate.development.cjs.mjs', production: 'xstate.cjs.mjs' }

const versions = process.argv.slice(2)
if (versions.length === 0) {
  console.error('Usage: node scripts/xstate-versions.mjs <version> …')
  process.exit(2)
}

const failed = []
for (const version of versions) {
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
    const { status } = run('npx', ['vitest', 'run', ...tests], root, { XSTATE_ENTRY: entry })
    if (status !== 0) failed.push(`${version} (${build})`)
  }
}
if (failed.length > 0) {
  console.error(`\nDiffers: ${failed.join(', ')}`)
  process.exit(1)
}

function run(command, args, cwd, env = {}) {
  return spawnSync(command, args, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
}
