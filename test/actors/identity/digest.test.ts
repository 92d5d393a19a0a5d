import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { digest, nativeDigest, portableDigest } from '../../../src/actors/identity/digest.ts'

const formats = ['sha1', 'sha256'] as const

afterEach(() => {
  vi.unstubAllGlobals()
})

/** Stands in for `process`, whose `getBuiltinModule` gives `module`. */
function stubRuntime(module: unknown): void {
  vi.stubGlobal('process', { getBuiltinModule: () => module })
}

describe.each(formats)('%s', format => {
  test('native and portable are one function', () => {
    const native = nativeDigest()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        const hex = createHash(format).update(bytes).digest('hex')
        expect(digest(format, bytes)).toBe(hex)
        expect(portableDigest(format, bytes)).toBe(hex)
        if (native !== undefined) expect(native(format, bytes)).toBe(hex)
      }),
    )
  })

  test('a view of a larger buffer is hashed alone', () => {
    const bytes = new TextEncoder().encode('..abc..').subarray(2, 5)
    expect(digest(format, bytes)).toBe(createHash(format).update('abc').digest('hex'))
  })

  test('without `crypto.hash`, createHash does it', () => {
    stubRuntime({ createHash })
    const native = nativeDigest()
    expect(native?.(format, new Uint8Array([7]))).toBe(portableDigest(format, new Uint8Array([7])))
  })
})

test('this runtime has a native hash', () => {
  expect(nativeDigest()).toBeTypeOf('function')
})

test.each([
  ['there is no process', undefined],
  [
    'the hash is switched off',
    {
      createHash: () => {
        throw new Error('disabled')
      },
    },
  ],
  ['the hash is wrong', { hash: () => '00' }],
])('there is no native hash where %s', (_, module) => {
  if (module === undefined) vi.stubGlobal('process', undefined)
  else stubRuntime(module)
  expect(nativeDigest()).toBeUndefined()
})

test('the published example', () => {
  expect(digest('sha1', new TextEncoder().encode('abc'))).toBe('a9993e364706816aba3e25717850c26c9cd0d89d')
})
