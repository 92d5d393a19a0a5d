import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { command } from './command.ts'
import { type Packed, packed, root } from './packed.ts'
import { filesOf, place } from './program.ts'

/** What a project of a user has set up, beside `strict`. Nothing of the libraries is passed over: `skipLibCheck` is off. */
const projects: Readonly<Record<string, Project>> = {
  'Node, without the DOM': { lib: ['ES2023', 'ESNext.Disposable'], types: ['node'] },
  'Node and the DOM': { lib: ['ES2023', 'ESNext.Disposable', 'DOM', 'DOM.AsyncIterable'], types: ['node'] },
  'a web worker, without Node': {
    lib: ['ES2023', 'ESNext.Disposable', 'WebWorker', 'WebWorker.AsyncIterable'],
    types: [],
    // The doors that need no Node: what the laws of the types import.
    include: ['types'],
  },
}

interface Project {
  readonly lib: readonly string[]
  readonly types: readonly string[]
  /** @default everything */
  readonly include?: readonly (keyof typeof sourceOf)[]
}

let pack: Packed
beforeAll(async () => {
  pack = await packed()
}, 600_000)

describe('a strict TypeScript project compiles against the packed package:', () => {
  test.each(Object.entries(projects))(
    '%s',
    async (name, { lib, types, include = Object.keys(sourceOf) as (keyof typeof sourceOf)[] }) => {
      const folder = join(pack.folder, `project-${name.replaceAll(/\W+/g, '-')}`)
      rmSync(folder, { recursive: true, force: true })
      for (const part of include) place(join(folder, part), filesOf(sourceOf[part]))
      const compilerOptions = {
        strict: true,
        noEmit: true,
        target: 'ES2022',
        module: 'NodeNext',
        lib,
        types,
        allowImportingTsExtensions: true,
        typeRoots: [join(root, 'node_modules/@types')],
        // The laws of the types are written with vitest's `expectTypeOf`, which is this package.
        paths: { vitest: [join(root, 'node_modules/expect-type/dist/index.d.ts')] },
      }
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
      const { stdout } = await command(join(root, 'node_modules/.bin/tsc'), ['-p', folder, '--pretty', 'false'], {
        cwd: folder,
      })
      expect(stdout).toBe('')
    },
    300_000,
  )
})

const sourceOf = {
  types: join(root, 'test/types'),
  programs: join(root, 'test/package/programs'),
  examples: join(root, 'examples'),
} as const
