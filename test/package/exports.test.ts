import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { binaries, entries } from '../../entries.ts'
import { root } from './packed.ts'

const { exports, bin, files, sideEffects, type } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, unknown>
  bin: Record<string, string>
  files: string[]
  sideEffects: boolean
  type: string
}

describe('package.json', () => {
  test('exports exactly the entries that are built, types first', () => {
    const doors = Object.keys(entries).map(door => [
      door === 'index' ? '.' : `./${door}`,
      { types: `./dist/${door}.d.ts`, default: `./dist/${door}.js` },
    ])
    const git = {
      ...(Object.fromEntries(doors)['./persistence/git'] as object),
      browser: './dist/persistence/git.browser.js',
    }
    expect(exports).toEqual({
      ...Object.fromEntries(doors),
      './persistence/git': git,
      './package.json': './package.json',
    })
    for (const door of Object.values(exports))
      if (typeof door === 'object') expect(Object.keys(door as object)[0]).toBe('types')
  })

  test('has the commands that are built', () => {
    expect(Object.values(bin)).toEqual(Object.keys(binaries).map(name => `dist/${name}.js`))
  })

  test('is ESM without side effects, and ships the build only', () => {
    expect({ type, sideEffects, files }).toEqual({
      type: 'module',
      sideEffects: false,
      files: ['dist', 'CHANGELOG.md'],
    })
  })
})
