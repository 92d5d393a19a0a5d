import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { command } from './command.ts'
import { type Packed, packed, root } from './packed.ts'
import { filesOf, place } from './program.ts'

/** What a project of a user has set up, beside `strict`. Nothing of the libraries is passed over: `skipLibCheck` is off. */
const projects = {
  'Node, without the DOM': { lib: ['ES2023', 'ESNext.Disposable'], types: ['node'] },
  'Node and the DOM': { lib: ['ES2023', 'ESNext.Disposable', 'DOM', 'DOM.AsyncIterable'], types: ['node'] },
  'a web worker, without Node': {
    lib: ['ES2023', 'ESNext.Disposable', 'WebWorker', 'WebWorker.AsyncIterable'],
    types: [],
    // The doors that need no Node: what the laws of the types import.
    include: ['types'],
  },
} as const satisfies Readonly<Record<string, Project>>

/** By the folder of the compiler: the old one, which takes ten times as long, has the widest of the projects only. */
const compilers: Readonly<Record<string, readonly (keyof typeof projects)[]>> = {
  'typescript-7': Object.keys(projects) as (keyof typeof projects)[],
  typescript: ['Node, without the DOM'],
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

describe.each(Object.entries(compilers))(
  'a strict project compiles against the packed package, by %s:',
  (by, names) => {
    test.each(names)(
      '%s',
      async name => {
        const { lib, types, include = everything }: Project = projects[name]
        const folder = join(pack.folder, `project-${by}-${name}`.replaceAll(/\W+/g, '-'))
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
        const { stdout } = await command(
          process.execPath,
          [join(root, 'node_modules', by, 'bin/tsc'), '-p', folder, '--pretty', 'false'],
          { cwd: folder },
        )
        expect(stdout).toBe('')
      },
      300_000,
    )
  },
)

const sourceOf = {
  types: join(root, 'test/types'),
  programs: join(root, 'test/package/programs'),
  examples: join(root, 'examples'),
} as const
const everything = Object.keys(sourceOf) as (keyof typeof sourceOf)[]
