import { describe, expect, test } from 'vitest'
import { randomNonce, runCreation, runId } from '../../../src/actors/identity/index.ts'

const beginning = { machine: 'a'.repeat(40), namespace: 'orders', time: 'arrival' as const }

describe('a keyed run', () => {
  test('is the same everywhere', () => {
    const one = runCreation({ ...beginning, key: 'o-1', input: { a: 1, b: 2 } })
    const other = runCreation({ ...beginning, key: 'o-1', input: { b: 2, a: 1 } })
    expect(one).not.toHaveProperty('nonce')
    expect(runId('sha1', one)).toBe(runId('sha1', other))
  })

  test('differs by machine, namespace, key and input', () => {
    const keyed = { ...beginning, key: 'o-1' }
    const ids = [
      keyed,
      { ...keyed, machine: 'b'.repeat(40) },
      { ...keyed, namespace: 'x' },
      { ...keyed, key: '' },
      { ...keyed, input: null },
    ].map(each => runId('sha1', runCreation(each)))
    expect(new Set(ids).size).toBe(5)
  })

  test('namespace and key do not run together', () => {
    const one = runCreation({ ...beginning, namespace: 'a', key: 'b/c' })
    const other = runCreation({ ...beginning, namespace: 'a/b', key: 'c' })
    expect(runId('sha1', one)).not.toBe(runId('sha1', other))
  })
})

test('an unkeyed run is another one each time', () => {
  const one = runCreation(beginning)
  expect(one.nonce).toMatch(/^[0-9a-f]{32}$/)
  expect(one).not.toHaveProperty('key')
  expect(runId('sha1', one)).not.toBe(runId('sha1', runCreation(beginning)))
})

test('nonces use their whole range', () => {
  const nonces = Array.from({ length: 200 }, randomNonce)
  expect(new Set(nonces).size).toBe(200)
  expect(new Set(nonces.join('')).size).toBe(16)
  expect(nonces.every(nonce => nonce.length === 32)).toBe(true)
})

test('the creation is frozen and holds nothing that is absent', () => {
  const creation = runCreation({ ...beginning, key: 'k', input: undefined, snapshot: undefined, fork: undefined })
  expect(Object.isFrozen(creation)).toBe(true)
  expect(Object.keys(creation).sort()).toEqual(['key', 'machine', 'namespace', 'time'])
})

test('names that UTF-8 cannot hold are refused', () => {
  expect(() => runCreation({ ...beginning, key: '\ud800' })).toThrow(/`key`.*lone surrogate/)
  expect(() => runCreation({ ...beginning, namespace: '\udc00' })).toThrow(/`namespace`.*lone surrogate/)
  expect(() => runCreation({ ...beginning, key: 7 as unknown as string })).toThrow(TypeError)
})
