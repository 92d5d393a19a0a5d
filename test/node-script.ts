import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { entries } from '../entries.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
/** Below the packages that a script leaves out of its bundle, so that it finds them. */
const folder = join(root, 'node_modules/.cache/xmachines-scripts')
/** The public doors by their published names: the sources. */
const alias = Object.fromEntries(
  Object.entries(entries).map(([door, source]) => [
    door === 'index' ? 'xmachines' : `xmachines/${door}`,
    join(root, source),
  ]),
)
const made = new Map<string, string>()

/**
 * A TypeScript script as a file that Node runs as it is, made once a test file: a loader would cost every process half
 * a second of the processor.
 */
export function nodeScript(url: URL): string {
  const source = fileURLToPath(url)
  let file = made.get(source)
  if (file === undefined) {
    file = bundle(source)
    made.set(source, file)
  }
  return file
}

function bundle(source: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [source],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    alias,
    write: false,
  })
  // Test files run side by side and may make the same script: each its own, which then takes the name.
  const file = join(folder, `${source.slice(root.length).replaceAll(/\W/g, '-')}.mjs`)
  mkdirSync(folder, { recursive: true })
  const own = `${file}.${process.pid}`
  writeFileSync(own, outputFiles[0]!.contents)
  renameSync(own, file)
  return file
}
