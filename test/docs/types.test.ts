import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { command } from '../package/command.ts'
import { type Packed, packed, root } from '../package/packed.ts'
import { place } from '../package/program.ts'
import { blocksOf, filesIn, samplesOf } from './blocks.ts'

/** The pages whose code is their own; that of an example is in its folder, and compiled there. */
const pages = [
  'README.md',
  'docs/errors.md',
  ...readdirSync(join(root, 'docs/guides')).map(name => `docs/guides/${name}`),
]

let pack: Packed
beforeAll(async () => {
  pack = await packed()
}, 600_000)

test('the code of every page compiles as it is pasted into a new strict project', async () => {
  const folder = join(pack.folder, 'pages-typed')
  rmSync(folder, { recursive: true, force: true })
  for (const page of pages) place(join(folder, page.replace('.md', '')), typeScriptOf(page))
  const compilerOptions = {
    strict: true,
    // As `tsc --init` has them, and a lint of the libraries is not the reader's.
    noUncheckedIndexedAccess: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noEmit: true,
    target: 'ES2022',
    module: 'NodeNext',
    lib: ['ES2023', 'ESNext.Disposable'],
    types: ['node'],
    allowImportingTsExtensions: true,
    typeRoots: [join(root, 'node_modules/@types')],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['**/*.ts'] }))
  const compiler = join(root, 'node_modules/typescript-7/bin/tsc')
  const { stdout } = await command(process.execPath, [compiler, '-p', folder, '--pretty', 'false'], { cwd: folder })
  expect(stdout).toBe('')
}, 300_000)

/** The TypeScript of a page, by the names of the files; what has no name has that of its line. */
function typeScriptOf(page: string): Record<string, string> {
  const blocks = blocksOf(readFileSync(join(root, page), 'utf8'))
  const samples = samplesOf(blocks).map(({ block: { language, line, text } }) => [language, `line-${line}.ts`, text])
  const all = [...Object.entries(filesIn(blocks)).map(file => ['ts', ...file]), ...samples]
  return Object.fromEntries(
    all.filter(([language, name]) => language === 'ts' && name!.endsWith('.ts')).map(([, name, text]) => [name, text]),
  )
}
