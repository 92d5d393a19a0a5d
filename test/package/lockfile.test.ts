import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from './packed.ts'

interface Locked {
  readonly version?: string
  readonly resolved?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>
}

describe('package-lock.json', () => {
  // npm leaves out what its registry does not have at the time, and `npm ci` then refuses the lock, on any platform.
  test('names the packages of every platform', () => {
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter(name => !Object.keys(packages).some(path => path.endsWith(`node_modules/${name}`)))
    expect([...new Set(missing)]).toEqual([])
  })

  test('names no registry: everybody has their own', () => {
    expect(Object.entries(packages).filter(([, { resolved }]) => resolved !== undefined)).toEqual([])
  })
})
