import { afterAll, beforeAll, expect } from 'vitest'

/** For the whole of a test file: no promise of it is rejected where nobody hears of it. */
export function nothingUnhandled(): void {
  const unhandled: unknown[] = []
  const hear = (reason: unknown): unknown => unhandled.push(reason)
  beforeAll(() => void process.on('unhandledRejection', hear))
  afterAll(() => {
    process.off('unhandledRejection', hear)
    expect(unhandled).toEqual([])
  })
}
