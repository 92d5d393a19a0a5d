import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { build as bundle } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { entries } from '../../entries.ts'
import { command, succeed } from './command.ts'
import { type Packed, packed, root } from './packed.ts'

let pack: Packed
beforeAll(async () => {
  pack = await packed()
}, 600_000)

const tool = (name: string): string => join(root, 'node_modules/.bin', name)

describe('the packed package', () => {
  test('holds the build, README, licence and nothing else', () => {
    const outside = pack.files.filter(path => !path.startsWith('dist/'))
    expect(outside.filter(path => path !== 'CHANGELOG.md').sort()).toEqual(['LICENSE', 'README.md', 'package.json'])
    expect(pack.files.filter(path => !/\.(js|d\.ts)$/.test(path) && path.startsWith('dist/'))).toEqual([])
  })

  test('passes publint, strictly', async () => {
    expect(await command(tool('publint'), ['run', pack.tarball, '--strict'], { cwd: root })).toMatchObject({ code: 0 })
  }, 300_000)

  test('passes arethetypeswrong for ESM', async () => {
    const { code, stdout } = await command(tool('attw'), [pack.tarball, '--profile', 'esm-only'], { cwd: root })
    expect(code, stdout).toBe(0)
  }, 300_000)

  test('needs nothing at run time but its dependencies, its peers and Node', () => {
    const { dependencies, peerDependencies = {} } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as Record<string, Record<string, string>>
    const known = [...Object.keys(dependencies!), ...Object.keys(peerDependencies)]
    const unknown = pack.files
      .filter(path => path.endsWith('.js'))
      .flatMap(path => importsOf(readFileSync(join(pack.folder, 'node_modules/xmachines', path), 'utf8')))
      .filter(name => !name.startsWith('.') && !isBuiltin(name))
      .filter(name => !known.some(dependency => name === dependency || name.startsWith(`${dependency}/`)))
    expect([...new Set(unknown)]).toEqual([])
  })

  test('needs Node in the doors of files only: all others run wherever there are web standards', () => {
    const dist = join(pack.folder, 'node_modules/xmachines/dist')
    const onNode = Object.keys(entries).filter(door => reachedFrom(join(dist, `${door}.js`)).some(isBuiltin))
    expect(onNode).toEqual(['persistence/filesystem', 'persistence/git', 'transports/kafka', 'transports/redpanda'])
  })

  test('declares nothing that TypeScript 5.4 cannot read: typed arrays have parameters from 5.7 on', () => {
    const newer = pack.files
      .filter(path => path.endsWith('.d.ts'))
      .filter(path =>
        /\b(Uint8Array|Buffer|DataView)</.test(readFileSync(join(pack.folder, 'node_modules/xmachines', path), 'utf8')),
      )
    expect(newer).toEqual([])
  })

  test('says how to install a library that is missing', async () => {
    const script = `const { valkeyStore } = await import('xmachines/persistence/valkey')
      const store = valkeyStore({ url: 'redis://localhost' })
      await store.head('a').catch(error => console.log(error.code, error.message))
      await store.close()`
    const printed = await succeed(process.execPath, ['--input-type=module', '--eval', script], { cwd: pack.folder })
    expect(printed).toMatch(/^LIBRARY_MISSING .*npm install iovalkey/)
  }, 300_000)

  test('goes into a bundle of CommonJS, which has no address of its own, with the libraries that are installed', async () => {
    const contents = `
      import { gitStore } from 'xmachines/persistence/git'
      import { postgresStore } from 'xmachines/persistence/postgres'
      import { valkeyStore } from 'xmachines/persistence/valkey'
      const said = store => store.head('a').catch(error => console.log(error.code, error.message)).then(() => store.close())
      gitStore({ dir: 'nowhere' }).close()
        .then(() => said(postgresStore({ connectionString: 'postgres://127.0.0.1:1/none', patience: 1 })))
        .then(() => said(valkeyStore({ url: 'redis://127.0.0.1:1' })))`
    const stdin = { contents, resolveDir: pack.folder }
    const { outputFiles } = await bundle({ stdin, bundle: true, platform: 'node', format: 'cjs', write: false })
    // Where nothing else can be found.
    const folder = mkdtempSync(join(tmpdir(), 'xmachines-bundle-'))
    try {
      writeFileSync(join(folder, 'bundle.cjs'), outputFiles[0]!.contents)
      const [pg, valkey] = (await succeed(process.execPath, ['bundle.cjs'], { cwd: folder })).split('\n')
      expect(pg).toMatch(/^STORE_UNAVAILABLE .*ECONNREFUSED/)
      expect(valkey).toMatch(/^LIBRARY_MISSING .*is not installed: npm install iovalkey/)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    // Webpack takes this for a file of the bundle, and fails at it when the bundle is started.
    const files = pack.files.map(path => join(pack.folder, 'node_modules/xmachines', path))
    const isAsset = /new URL\([^)]*import\.meta\.url/
    expect(files.filter(path => path.endsWith('.js') && isAsset.test(readFileSync(path, 'utf8')))).toEqual([])
  }, 300_000)

  test.each(Object.keys(entries))(
    '%s: the exported names',
    async door => {
      const name = door === 'index' ? 'xmachines' : `xmachines/${door}`
      const script = `console.log(JSON.stringify(Object.keys(await import('${name}')).sort()))`
      const names = JSON.parse(
        await succeed(process.execPath, ['--input-type=module', '--eval', script], { cwd: pack.folder }),
      ) as string[]
      expect(names).toMatchSnapshot()
    },
    300_000,
  )

  test('tells nothing of `any` to whoever uses it', () => {
    expect(linesWithAny('a: any\nb: Promise<any>\nc(d: string, any: string): void // any\n')).toEqual([
      'a: any',
      'b: Promise<any>',
    ])
    const folder = join(pack.folder, 'node_modules/xmachines/dist')
    const found = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(path => path.endsWith('.d.ts'))
      .flatMap(path => linesWithAny(readFileSync(join(folder, path), 'utf8')).map(line => `${path}: ${line}`))
    expect(found).toEqual([])
  })
})

/** The modules that a built file imports. A bundler writes each import from the start of a line on. */
function importsOf(text: string): string[] {
  const imports = /^(?:import|export)\b[^"';]*["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']\s*\)/gm
  return [...text.matchAll(imports)].map(match => (match[1] ?? match[2])!)
}

/** Every module outside of the package that a built file leads to. */
function reachedFrom(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) return []
  seen.add(file)
  return importsOf(readFileSync(file, 'utf8')).flatMap(name =>
    name.startsWith('.') ? reachedFrom(join(dirname(file), name), seen) : [name],
  )
}

/** Lines of a declaration file that use the type `any`. Comments may use the word. */
function linesWithAny(text: string): string[] {
  return text
    .replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    .split('\n')
    .filter(line => /[:<(|&,=[]\s*any\b(?!\s*[:?])/.test(line))
}
