import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { ModuleKind, ScriptTarget, transpileModule } from 'typescript'

/**
 * Writes TypeScript files where the package is installed, as a user would: as they are, and beside each of them what it is
 * without its types, which every supported Node runs.
 */
export function place(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
    if (path.endsWith('.ts')) writeFileSync(join(folder, path.replace(/\.ts$/, '.js')), withoutTypes(text))
  }
}

/** The files of a folder of this repository, to be placed. */
export function filesOf(folder: string): Record<string, string> {
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const paths = all.filter(path => !path.split(sep).includes('node_modules'))
  const files = paths.filter(path => statSync(join(folder, path)).isFile())
  return Object.fromEntries(files.map(path => [path, readFileSync(join(folder, path), 'utf8')]))
}

function withoutTypes(text: string): string {
  return transpileModule(text, {
    compilerOptions: {
      target: ScriptTarget.ES2022,
      module: ModuleKind.ESNext,
      verbatimModuleSyntax: true,
      rewriteRelativeImportExtensions: true,
    },
  }).outputText
}
