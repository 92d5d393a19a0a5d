import { afterEach } from 'vitest'

/** What the tests of a file have opened: each is ended after its test, the last one first. */
export function endings(): (() => unknown)[] {
  const ends: (() => unknown)[] = []
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end()
  })
  return ends
}
