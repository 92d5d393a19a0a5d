import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type ErrorCode, errorCodes, XMachinesError } from 'xmachines'
import { errorsPage, errorsPagePath } from '../scripts/errors-doc.ts'

/** Codes that no test makes happen yet. The goal is an empty list: a code belongs here only while its part is being built. */
const notYetThrown: readonly ErrorCode[] = []

/** Codes that nothing in the package uses yet. */
const notYetUsed: readonly ErrorCode[] = []

const root = new URL('..', import.meta.url).pathname
const table = 'src/actors/errors.ts'
const codes = Object.keys(errorCodes) as ErrorCode[]

/** The code of the TypeScript files under a folder, without comments: a code that is only written about is not used. */
function sources(folder: string): readonly { readonly path: string; readonly text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.ts'))
    .map(path => join(folder, path))
    .map(path => ({ path, text: withoutComments(readFileSync(join(root, path), 'utf8')) }))
}

/** Only whole lines of comments: enough here, and nothing in a string can be mistaken for one. */
function withoutComments(text: string): string {
  return text.replace(/^\s*(\/\/|\/\*|\*).*$/gm, '')
}

function names(text: string, code: string): boolean {
  return new RegExp(`\\b${code}\\b`).test(text)
}

describe('the table of error codes', () => {
  test('has each code once', () => {
    const text = readFileSync(join(root, table), 'utf8')
    const written = [...text.matchAll(/^ {2}([A-Z_]+): \{/gm)].map(match => match[1])
    expect(written).toEqual([...new Set(written)])
    expect(written).toEqual(codes)
  })

  test('says of each code what happened and what to do next, in sentences', () => {
    for (const code of codes) {
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/)
      expect(errorCodes[code].when, code).toMatch(/^.+\.$/)
      expect(errorCodes[code].next, code).toMatch(/^.+[.]$/)
    }
  })

  test('is what docs/errors.md says; `npm run docs:errors` brings it up to date', () => {
    expect(readFileSync(errorsPagePath, 'utf8')).toBe(errorsPage())
  })

  test('has no code that nothing uses', () => {
    const used = sources('src').filter(({ path }) => path !== table && !/^src\/testing\/(?!simul)/.test(path))
    const unused = codes.filter(code => !used.some(({ text }) => names(text, code)))
    expect(unused).toEqual([...notYetUsed].sort(inTableOrder))
  })

  test('has no code that no test makes happen', () => {
    // The published suites are tests too: every store and broker is put through them.
    const tests = [...sources('test'), ...sources('src/testing')].filter(({ path }) => path !== 'test/errors.test.ts')
    const untested = codes.filter(code => !tests.some(({ text }) => names(text, code)))
    expect(untested).toEqual([...notYetThrown].sort(inTableOrder))
  })
})

function inTableOrder(a: ErrorCode, b: ErrorCode): number {
  return codes.indexOf(a) - codes.indexOf(b)
}

describe('an XMachinesError', () => {
  test('carries its code, and what the table says of it', () => {
    for (const code of codes) {
      const { retryable } = errorCodes[code]
      const error = new XMachinesError(code, 'What happened.', { details: { place: 1 }, cause: 'why' })
      expect(error).toBeInstanceOf(Error)
      expect(error).toMatchObject({ name: 'XMachinesError', code, retryable, details: { place: 1 }, cause: 'why' })
      const plain: unknown = JSON.parse(JSON.stringify(error))
      expect(plain).toEqual({ code, message: 'What happened.', retryable, details: { place: 1 } })
    }
  })

  test('is told from other errors, also when it comes from another copy of the package', () => {
    const own = new XMachinesError('RUN_UNKNOWN', 'There is no such run.')
    const brand = Object.getOwnPropertySymbols(own).find(symbol => Symbol.keyFor(symbol) === 'xmachines.error')!
    const foreign = Object.assign(new Error('There is no such run.'), { code: 'RUN_UNKNOWN', [brand]: true })
    expect(XMachinesError.is(own)).toBe(true)
    expect(XMachinesError.is(own, 'RUN_UNKNOWN')).toBe(true)
    expect(XMachinesError.is(own, 'RUN_EXISTS')).toBe(false)
    expect(XMachinesError.is(foreign, 'RUN_UNKNOWN')).toBe(true)
    for (const other of [null, undefined, 'RUN_UNKNOWN', {}, Object.assign(new Error(''), { code: 'RUN_UNKNOWN' })])
      expect(XMachinesError.is(other)).toBe(false)
  })
})
